"""Reports of members that the market refused: settled again, they count for nothing either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from coordinator.verification.community import recompute
from runtime.protocol.bargain_bodies import AgreedTrade, BargainReport
from runtime.protocol.bodies import parse_body
from runtime.protocol.envelope import Envelope
from runtime.rundir import COORDINATOR, RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import LoggedNetwork


def test_a_report_of_a_slot_that_there_is_not_counts_for_nothing(tmp_path: Path) -> None:
    class Misled(LoggedNetwork):
        said = 0

        def _post(self, envelope: Envelope) -> None:
            body = parse_body(envelope.body)
            if isinstance(body, BargainReport) and envelope.sender.startswith("m0@"):
                self.said += 1
                beyond = AgreedTrade(
                    partner="m1", slots=[99], purchase_kwh=[1.0], sale_kwh=[0.0], price_eur_per_kwh=[0.2]
                )
                envelope = replace(envelope, body=body.model_copy(update={"trades": [beyond]}).to_json())
            super()._post(envelope)

    community = Community(seed=5, members=3, slots=4, sessions=1, mechanism="bilateral")
    network = Misled(directory=RunDirectory(tmp_path))
    record, _ = community.run(network)
    network.drain()
    for log in network.logs.values():
        log.close()
    assert network.said
    assert all("m0" not in (each.seller, each.buyer) for each in record.sessions[0].contracts)
    result = recompute(network.directory.log(COORDINATOR), community.coordinator_config)
    assert result.findings.texts == []
    assert result.settled[0].ledger == record.sessions[0].ledger
