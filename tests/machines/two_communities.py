"""Communities in two parts, each with a coordinator of its own, on a network in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.prosumer import ProsumerMachine
from coordinator.session import MarketMachine
from coordinator.two_communities.books import joined_record
from runtime.communities import parted
from runtime.records import CoordinatorRecord, MemberRecord
from tests.machines.communities import DOMAIN, Community, PlayedMeter
from tests.machines.network import Network


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
        return joined_record(self.records, self.coordinator_config.members), members

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
