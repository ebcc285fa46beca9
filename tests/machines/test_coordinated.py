"""The coordinated market in whole communities: what it costs, and what members do with their schedules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coordinator.costs import CommunityTariff
from runtime.configuration import MemberSession
from runtime.devices import Appliance, ElectricVehicle
from runtime.errors import ProtocolError
from runtime.protocol.bodies import AnyBody, DeviceDeclaration, Join
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Effect
from runtime.records import CoordinatorRecord
from tests.coordinator.optimum.batteries_together import coordinated_optimum
from tests.machines.communities import DOMAIN, Community
from tests.machines.network import Network


def steered(community: Community) -> Community:
    """The same community with batteries that follow a plan, not a rule."""
    community.member_configs = [
        member.model_copy(update={"strategy": "optimised"}) for member in community.member_configs
    ]
    return community


def optimum_eur(community: Community, session: int = 0) -> float:
    """What the community would pay at best, from its members' true energies."""
    terms = community.coordinator_config.sessions[session]
    tariff = CommunityTariff.of(
        [float(price) for price in terms.import_price_eur_per_kwh],
        [float(price) for price in terms.export_price_eur_per_kwh],
        terms.horizon.slot_hours,
    )
    residual = []
    for member in community.member_configs:
        metered = community.metered_kwh[member.name][session]
        nothing = [0.0] * terms.horizon.slots
        residual.append(np.array(metered.get("load", nothing)) - np.array(metered.get("pv", nothing)))
    batteries = [member.battery for member in community.member_configs]
    return coordinated_optimum(np.array(residual), batteries, tariff).objective_eur


@pytest.mark.parametrize(("seed", "high_feed_in"), [(1, False), (2, False), (3, True), (4, True)])
def test_the_community_pays_the_optimum_when_all_forecasts_are_right(seed: int, high_feed_in: bool) -> None:
    settings = {"members": 5, "slots": 12, "deviation": 0.0, "high_feed_in": high_feed_in}
    bound = {"opt_out_passes": 0}
    community = steered(Community(seed, mechanism="coordinated", parameters=bound, **settings))
    record, _ = community.run()
    paid = sum(float(bill.exact_eur) for bill in record.sessions[0].bills)
    assert paid == pytest.approx(optimum_eur(community), abs=1e-5)
    rounds, _ = steered(Community(seed, mechanism="mid-market-rate", **settings)).run()
    assert paid <= sum(float(bill.exact_eur) for bill in rounds.sessions[0].bills) + 1e-6


def test_vehicles_and_appliances_are_planned_for_too() -> None:
    """A car that could charge at any time is charged from a neighbour's surplus, and a machine runs then."""
    surplus_kwh = [0.0] * 4 + [6.0] * 4 + [0.0] * 4
    community = Community(1, members=2, slots=12, mechanism="coordinated", deviation=0.0)
    seller, buyer = community.member_configs
    for config, load, pv in ((seller, None, surplus_kwh), (buyer, [0.1] * 12, None)):
        community.metered_kwh[config.name] = [{"load": load} if load else {"pv": pv}]
    vehicle = ElectricVehicle(
        name="car", arrival_slot=0, departure_slot=12, energy_kwh=8.0, charge_limit_kw=7.0
    )
    machine = Appliance(name="washer", energy_kwh=(0.5, 0.5), earliest_start_slot=0, latest_start_slot=10)
    horizon = community.horizons[0]
    community.member_configs = [
        seller.model_copy(
            update={
                "strategy": "optimised",
                "battery": None,
                "roles": ["pv"],
                "sessions": [MemberSession(horizon=horizon, pv_production_kwh=surplus_kwh)],
            }
        ),
        buyer.model_copy(
            update={
                "strategy": "optimised",
                "battery": None,
                "roles": ["load"],
                "sessions": [
                    MemberSession(
                        horizon=horizon, load_kwh=[0.1] * 12, vehicles=[vehicle], appliances=[machine]
                    )
                ],
            }
        ),
    ]
    record, members = community.run()
    own = members[buyer.name].sessions[0]
    at_noon = slice(4, 8)
    assert sum(own.flexible_kwh["car"][at_noon]) == pytest.approx(8.0)
    assert sum(own.flexible_kwh["washer"][at_noon]) == pytest.approx(1.0)
    assert own.net_kwh == pytest.approx(record.sessions[0].agreed_net_kwh[buyer.name])
    bought = sum(float(e.energy_kwh) for e in record.sessions[0].ledger if e.kind == "local-purchase")
    assert bought == pytest.approx(9.0 + 0.4)


def test_nobody_pays_more_than_alone_when_members_may_opt_out() -> None:
    for seed in range(1, 5):
        community = Community(seed, members=5, slots=12, deviation=0.0, mechanism="coordinated")
        record, _ = community.run()
        session = record.sessions[0]
        alone = session.rounds[0].net_kwh
        for bill in session.bills:
            net = np.array(alone[bill.member])
            buy = np.array([float(price) for price in session.grid_import_price_eur_per_kwh])
            sell = np.array([float(price) for price in session.grid_export_price_eur_per_kwh])
            assert float(bill.exact_eur) <= np.where(net > 0, net * buy, net * sell).sum() + 1e-6


def test_a_member_that_does_not_declare_keeps_its_own_plan() -> None:
    community = Community(2, members=4, slots=6, mechanism="coordinated", deviation=0.0)
    network = Network()
    community.put_on(network)
    silent = network.nodes[f"m1@{DOMAIN}"].machine
    original = silent.receive

    def receive(envelope: Envelope, body: AnyBody) -> list[Effect]:
        return [] if body.type == "declaration-request" else original(envelope, body)

    silent.receive = receive  # type: ignore[method-assign]
    network.run()
    record = network.saved[Path("coordinator.json")]
    assert isinstance(record, CoordinatorRecord)
    session = record.sessions[0]
    assert session.rounds[1].late == ["m1"]
    assert session.agreed_net_kwh["m1"] == pytest.approx(session.rounds[0].net_kwh["m1"])


def test_a_declaration_nobody_asked_for_is_refused() -> None:
    community = Community(3, members=2)
    network = Network()
    community.put_on(network)
    coordinator = network.nodes[f"coordinator@{DOMAIN}"].machine
    coordinator.start()
    for number, name in enumerate(["m0", "m1"]):
        coordinator.receive(said(name, Join(member=name), f"j{number}"), Join(member=name))
    none = {"grid_import_kwh": [0.0] * 6, "grid_export_kwh": [0.0] * 6}
    forged = DeviceDeclaration(session=0, round=0, residual_load_kwh=[0.0] * 6, battery=None, **none)
    with pytest.raises(ProtocolError, match="m0 was not asked for a declaration in round 0"):
        coordinator.receive(said("m0", forged, "x"), forged)


def said(name: str, body: AnyBody, message_id: str) -> Envelope:
    to = f"coordinator@{DOMAIN}"
    sender = f"{name}@{DOMAIN}"
    act = Performative.REQUEST if isinstance(body, Join) else Performative.INFORM
    return Envelope(sender, to, act, "market", "session-0", message_id, body.to_json())
