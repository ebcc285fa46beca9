"""A run's settlement, recomputed from the coordinator's log and held against what members were told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from coordinator.two_communities.heard import OtherTerms
from coordinator.verification.adjusted import check_adjustments
from coordinator.verification.evidence import SessionEvidence, sessions_in
from coordinator.verification.findings import Findings
from coordinator.verification.settled import Settled, settle_again
from runtime.bookkeeping import AgreedContract
from runtime.configuration import CoordinatorConfig, CoordinatorSession
from runtime.messaging.moment import jid_of
from runtime.protocol.bodies import PriceSignal
from runtime.wording import counted

PRICE_TOLERANCE_EUR_PER_KWH = Decimal("1e-9")
"""Prices are told as numbers of nine decimals."""


@dataclass(slots=True)
class Proof:
    """What was recomputed and found equal.

    Attributes:
        sessions: sessions settled again.
        slots: slots settled again.
        deliveries: metered deliveries that were settled.
        missing: deliveries that did not come, settled at the agreed position.
        lines: bill lines told.
        corrections: corrections of settled slots that were taken.
        bills: bills told.
        entries: entries of the ledger.
        billed_eur: sum of the bills.
        rows: rows of the tables compared.
        pages: bill pages whose amounts were compared.
    """

    sessions: int = 0
    slots: int = 0
    deliveries: int = 0
    missing: int = 0
    lines: int = 0
    corrections: int = 0
    bills: int = 0
    entries: int = 0
    billed_eur: Decimal = Decimal(0)
    rows: int = 0
    pages: int = 0


@dataclass(slots=True)
class Recomputation:
    """A run's sessions, settled again.

    Attributes:
        findings: what differs from what members were told.
        proof: what was compared.
        settled: the sessions.
        unfinished: a session that is under way, or was broken off: its settled slots are compared.
    """

    findings: Findings = field(default_factory=Findings)
    proof: Proof = field(default_factory=Proof)
    settled: dict[int, Settled] = field(default_factory=dict)
    unfinished: int | None = None


def recompute(
    log: Path, config: CoordinatorConfig, made: Mapping[int, Sequence[AgreedContract]] | None = None
) -> Recomputation:
    """Settle all sessions of a run again.

    Args:
        log: the coordinator's log.
        config: the published terms: members, horizons, tariffs, grid terms.
        made: contracts that the mechanism makes of members' orders, by session.

    Raises:
        LogError: the log's chain is broken, or it cannot be read.
    """
    result = Recomputation()
    account = jid_of(log).partition("@")[0]
    own = next((part for part in config.communities if part.coordinator == account), None)
    other = None if own is None else OtherTerms.of(config, own)
    slots_of = [session.horizon.slots for session in config.sessions]
    for evidence in sessions_in(log, result.findings, slots_of, other):
        if evidence.number >= len(config.sessions):
            result.findings.add(
                f"session {evidence.number}: the scenario has {counted(len(config.sessions), 'session')}"
            )
            continue
        if not evidence.agreements:
            result.unfinished = evidence.number
            continue
        terms = config.sessions[evidence.number]
        _check_told(evidence, terms, result.findings)
        try:
            contracts = (made or {}).get(evidence.number, ())
            settled = settle_again(evidence, terms, config.members, contracts)
        except ValueError as error:
            result.findings.add(f"session {evidence.number}: {error}")
            continue
        _compare(evidence, settled, result)
        result.settled[evidence.number] = settled
    return result


def _check_told(evidence: SessionEvidence, terms: CoordinatorSession, findings: Findings) -> None:
    """All were told the published tariffs and the same local prices."""
    published = {
        "import_price_eur_per_kwh": terms.import_price_eur_per_kwh,
        "export_price_eur_per_kwh": terms.export_price_eur_per_kwh,
    }
    for said in evidence.signals.values():
        if isinstance(said.body, PriceSignal):
            told = {name: _exact(getattr(said.body, name)) for name in published}
            findings.compare(said.name, _different(told, published), _different(published, told))
    first = None
    for said in evidence.agreements.values():
        prices = evidence.agreed[said.recipient].local_price_eur_per_kwh
        if first is None:
            first = prices
        elif prices != first:
            findings.add(f"{said.name}: local_price_eur_per_kwh: others were told other prices")


def _exact(prices: list[float]) -> list[Decimal]:
    return [Decimal(repr(price)) for price in prices]


def _different(
    values: dict[str, list[Decimal]], others: dict[str, list[Decimal]]
) -> dict[str, Decimal | None]:
    """The slots in which two sets of series differ, each under a name of its own."""
    return {
        f"{name}, slot {slot}": value
        for name, series in values.items()
        for slot, value in enumerate(series)
        if slot >= len(others[name])
        or abs(value - others[name][slot]) > PRICE_TOLERANCE_EUR_PER_KWH / 2
        or len(series) != len(others[name])
    }


def _compare(evidence: SessionEvidence, settled: Settled, result: Recomputation) -> None:
    findings, proof = result.findings, result.proof
    finished = bool(evidence.closed)
    for slot, expected in enumerate(settled.lines):
        known = evidence.slots.get(slot)
        if known is None or not (known.settled or finished):
            if finished:
                findings.add(f"session {evidence.number}, slot {slot}: nobody was asked for a delivery")
            continue
        proof.slots += 1
        told = known.told
        for member, said in known.lines.items():
            if member not in expected:
                findings.add(f"{said.name}: {member} has no part in this session")
            elif member not in known.deliveries:
                findings.add(f"{said.name}: {member} delivered nothing in slot {slot} that this could settle")
            else:
                findings.compare(said.name, told[member].model_dump(), expected[member].model_dump())
                answered = known.deliveries[member].envelope.message_id
                findings.compare(
                    said.name, {"in_reply_to": said.envelope.in_reply_to}, {"in_reply_to": answered}
                )
                proof.lines += 1
        for member, said in known.deliveries.items():
            if member not in told:
                findings.add(f"{said.name}: was not answered with a bill line")
        proof.deliveries += len(known.deliveries)
        proof.missing += len(expected) - len(known.deliveries)
    proof.corrections += check_adjustments(evidence, settled, findings)
    if not finished:
        result.unfinished = evidence.number
        return
    for bill in settled.bills:
        closed = evidence.closed.get(bill.member)
        if closed is None:
            findings.add(f"session {evidence.number}: {bill.member} was not told its bill")
            continue
        expected_bill = {
            "amount_eur": bill.amount_eur,
            "demand_charge_eur": bill.exact_of("demand-charge"),
            "sharing_eur": bill.exact_of("sharing"),
        }
        findings.compare(closed.name, closed.body.model_dump(), expected_bill)
        proof.bills += 1
        proof.billed_eur += bill.amount_eur
    for member, said in evidence.closed.items():
        if member not in settled.members:
            findings.add(f"{said.name}: {member} has no part in this session")
    proof.sessions += 1
    proof.entries += len(settled.ledger)
