"""Machines of a community up to its agreement, and how good what they agreed on is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.forecast.member import foresee
from agents.prosumer import ProsumerMachine
from coordinator.costs import CommunityTariff
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.negotiation import Negotiation
from coordinator.session import MarketMachine, Phase
from runtime.configuration import CoordinatorConfig, MemberConfig
from runtime.rundir import COORDINATOR
from runtime.scenario import resolve
from tests.coordinator.optimum.batteries_together import coordinated_optimum
from tests.machines.communities import DOMAIN
from tests.machines.network import Network


@dataclass(frozen=True)
class Outcome:
    """What a negotiation came to, in one session.

    Attributes:
        negotiation: it, ended.
        bills_eur: members' bills at the agreed positions, shape (members,).
        alone_eur: their bills if nobody traded and each ran its plan of round 0.
        optimum_eur: least cost of the community.
    """

    negotiation: Negotiation
    bills_eur: np.ndarray
    alone_eur: np.ndarray
    optimum_eur: float

    @property
    def score(self) -> float:
        """Share of the achievable saving."""
        alone = float(self.alone_eur.sum())
        return (alone - float(self.bills_eur.sum())) / (alone - self.optimum_eur)

    @property
    def tariff(self) -> CommunityTariff:
        return self.negotiation.mechanism.tariff

    @property
    def rounds(self) -> int:
        """Rounds after round 0."""
        return len(self.negotiation.rounds) - 1


def negotiate(coordinator: CoordinatorConfig, members: list[MemberConfig]) -> Outcome:
    """Run the machines of the first session until all is agreed."""
    network = Network()
    market = MarketMachine(coordinator, f"{COORDINATOR}@{DOMAIN}", Path("coordinator.json"))
    network.add(market)
    for member in members:
        network.add(ProsumerMachine(member, f"{member.name}@{DOMAIN}", Path(f"{member.name}.json")))
    for node in network.nodes.values():
        network._perform(node, node.machine.start())
    while market.phase in (Phase.JOINING, Phase.NEGOTIATING):
        network._deliver(network.in_flight.pop(network.rng.randrange(len(network.in_flight))))
    negotiation = market.negotiation
    tariff = negotiation.mechanism.tariff
    assert negotiation.clearing is not None
    residual_kwh = np.array([foresee(member, 0).residual_load_kwh for member in members])
    batteries = [None if member.strategy == "idle" else member.battery for member in members]
    return Outcome(
        negotiation,
        expected_bills_eur(negotiation.agreed_kwh, negotiation.clearing, tariff),
        bills_without_trade_eur(negotiation.positions_of(0), tariff),
        coordinated_optimum(residual_kwh, batteries, tariff).objective_eur,
    )


def of_scenario(
    scenario: str | Path,
    mechanism: str,
    parameters: dict[str, Any] | None = None,
    *,
    data: Path | None = None,
    session: int = 0,
    clip_feed_in: bool = False,
) -> tuple[CoordinatorConfig, list[MemberConfig]]:
    """One session of a scenario at a mechanism; feed-in clipped to the import price where asked for."""
    resolved = resolve(scenario, data)
    config = resolved.coordinator_config()
    terms = config.sessions[session]
    if clip_feed_in:
        clipped = map(min, zip(terms.export_price_eur_per_kwh, terms.import_price_eur_per_kwh, strict=True))
        terms = terms.model_copy(update={"export_price_eur_per_kwh": list(clipped)})
    change = {"mechanism": mechanism, "parameters": parameters or {}, "sessions": [terms]}
    members = [resolved.member_config(name) for name in resolved.members]
    return config.model_copy(update=change), [
        member.model_copy(update={"sessions": [member.sessions[session]]}) for member in members
    ]
