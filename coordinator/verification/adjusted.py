"""Corrections of settled slots, recomputed: what they were told to come to, and what of them is entered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.settlement.corrections import Corrections, SettledGrid
from coordinator.verification.evidence import SessionEvidence
from coordinator.verification.findings import Findings
from runtime.protocol.bodies import AdjustmentLine, DeliveryCorrection

if TYPE_CHECKING:
    from coordinator.verification.settled import Settled


def check_adjustments(evidence: SessionEvidence, settled: Settled, findings: Findings) -> int:
    """Hold the adjustments that members were told against those that follow; how many there are.

    Args:
        evidence: what was said.
        settled: the session, settled again.
        findings: where to note what differs.
    """
    corrections = corrections_of(settled)
    for asked, told in evidence.adjustments:
        assert isinstance(asked.body, DeliveryCorrection), "as evidence has it"
        assert isinstance(told.body, AdjustmentLine), "as evidence has it"
        try:
            expected = corrections.take(asked.sender, asked.body)
        except KeyError:
            findings.add(f"{told.name}: slot {asked.body.slot} was not settled, and is corrected")
            continue
        findings.compare(told.name, told.body.model_dump(), expected.model_dump())
        findings.compare(told.name, {"to": told.recipient}, {"to": asked.sender})
    return len(evidence.adjustments)


def enter_corrections(evidence: SessionEvidence, settled: Settled) -> None:
    """Correct the deliveries of a session settled again, and enter what that comes to.

    Raises:
        ValueError: a slot was corrected that is not there.
    """
    corrections = corrections_of(settled)
    for asked, _ in evidence.adjustments:
        assert isinstance(asked.body, DeliveryCorrection), "as evidence has it"
        try:
            corrections.take(asked.sender, asked.body)
        except KeyError:
            raise ValueError(
                f"{asked.name}: slot {asked.body.slot} was not settled, and is corrected"
            ) from None
    settled.deliveries = corrections.corrected(settled.deliveries)
    settled.ledger += corrections.entries(settled.members)


def corrections_of(settled: Settled) -> Corrections:
    """No correction yet, of a session settled again."""
    corrections = Corrections()
    delivered = {(each.slot, each.member): each.as_settled for each in settled.deliveries}
    for slot, lines in enumerate(settled.lines):
        for member, line in lines.items():
            corrections.settled(
                slot,
                member,
                SettledGrid(
                    delivered[slot, member].net_kwh,
                    line.grid_import_kwh,
                    line.grid_export_kwh,
                    line.import_price_eur_per_kwh,
                    line.export_price_eur_per_kwh,
                ),
            )
    return corrections
