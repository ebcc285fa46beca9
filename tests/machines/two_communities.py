"""Communities in two parts, each with a coordinator of its own, on a network in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from agents.prosumer import ProsumerMachine
from coordinator.session import MarketMachine
from coordinator.two_communities.books import joined_record
from runtime.communities import parted
from runtime.grid_terms import GridTerms
from runtime.protocol.envelope import Envelope
from runtime.records import CoordinatorRecord, MemberRecord, SessionRecord
from runtime.rundir import COORDINATORS
from tests.machines.communities import DOMAIN, Community, PlayedMeter
from tests.machines.network import Network

FULL_TERMS = GridTerms(
    local_fee_eur_per_kwh=Decimal("0.02"),
    import_limit_kw=Decimal(3),
    export_limit_kw=Decimal(2),
    excess_price_eur_per_kwh=Decimal("0.5"),
    demand_charge_eur_per_kw=Decimal("0.3"),
)


class TwoCommunities(Community):
    """A random community whose members are in two by turns."""

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed, mechanism="hybrid", **options)
        config = self.coordinator_config
        parts = parted(dict.fromkeys(config.members))
        self.coordinator_config = config.model_copy(update={"communities": parts})
        of = {member: part.coordinator for part in parts for member in part.members}
        self.member_configs = [
            member.model_copy(update={"coordinator": of[member.name]}) for member in self.member_configs
        ]

    @property
    def coordinators(self) -> list[str]:
        return self.coordinator_config.coordinators

    def put_on(self, network: Network) -> None:
        for account in self.coordinators:
            jid = f"{account}@{DOMAIN}"
            network.add(MarketMachine(self.coordinator_config, jid, Path(f"{account}.json")))
        for config in self.member_configs:
            network.add(ProsumerMachine(config, f"{config.name}@{DOMAIN}", Path(f"{config.name}.json")))
            network.add(PlayedMeter(config.name, self.metered_kwh[config.name]))

    def run(self, network: Network | None = None) -> tuple[CoordinatorRecord, dict[str, MemberRecord]]:
        """Run to the end; the joined record, and the members'."""
        network = network or Network()
        self.records = self.run_both(network)
        members = {}
        for config in self.member_configs:
            record = network.saved.get(Path(f"{config.name}.json"))
            if isinstance(record, MemberRecord):
                members[config.name] = record
        return joined(self, self.records), members

    def run_both(self, network: Network | None = None) -> list[CoordinatorRecord]:
        """Run to the end; both coordinators' records, the leading one's first."""
        network = network or Network()
        self.put_on(network)
        network.run()
        records = []
        for account in self.coordinators:
            record = network.saved[Path(f"{account}.json")]
            assert isinstance(record, CoordinatorRecord)
            records.append(record)
        return records


@dataclass
class CutNetwork(Network):
    """Loses what the coordinators say to each other where ``cut`` says so."""

    cut: Callable[[Envelope], bool] = lambda _: False

    def _post(self, envelope: Envelope) -> None:
        between = {each.partition("@")[0] for each in (envelope.sender, envelope.recipient)}
        if between == {*COORDINATORS} and self.cut(envelope):
            return
        super()._post(envelope)


def joined(community: TwoCommunities, records: list[CoordinatorRecord]) -> CoordinatorRecord:
    return joined_record(records, community.coordinator_config.members)


@cache
def calm(seed: int) -> CoordinatorRecord:
    community = TwoCommunities(seed, members=5, slots=6, sessions=2)
    return joined(community, community.run_both())


def assert_nobody_pays_more_than_at_the_grid(session: SessionRecord) -> None:
    """Charges for the connection's limit aside, which are for what all cause together."""
    for bill in session.bills:
        beside = bill.exact_of("excess-charge") + bill.exact_of("demand-charge")
        assert bill.exact_eur - beside <= at_the_grid_eur(session, bill.member), bill.member


def at_the_grid_eur(session: SessionRecord, member: str) -> Decimal:
    """What a member's metered energy costs at the grid's tariffs."""
    buy, sell = session.grid_import_price_eur_per_kwh, session.grid_export_price_eur_per_kwh
    own = [each for each in session.deliveries if each.member == member]
    return sum((each.net_kwh * (buy if each.net_kwh > 0 else sell)[each.slot] for each in own), Decimal(0))
