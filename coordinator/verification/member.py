"""One member's bill, checked from the member's own log: what it delivered, and what it was told."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from coordinator.settlement.corrections import SettledGrid, adjustment
from coordinator.settlement.exact import CENT_EUR, ENERGY_STEP_KWH, PRICE_STEP_EUR_PER_KWH
from coordinator.verification.evidence import Said, said_in
from coordinator.verification.findings import Findings
from runtime.grid_terms import mean_power_kw
from runtime.messagelog.record import RecordKind
from runtime.protocol.bargain_bodies import BargainReport
from runtime.protocol.bodies import (
    AdjustmentLine,
    Admission,
    Agreement,
    BillLine,
    DeliveryCorrection,
    MeteredDelivery,
    PriceSignal,
    SessionClosed,
)
from runtime.wording import counted

Prices = list[Decimal]


@dataclass(slots=True)
class MemberProof:
    """What a member's own log proves.

    Attributes:
        sessions: sessions whose bill was checked.
        slots: slots whose bill line follows from what was delivered and told.
        corrections: corrections whose adjustment follows from what was delivered and told.
        without_line: slots that were settled without a word, because nothing was delivered in time.
        billed_eur: sum of the bills.
        taken_on_trust_eur: of them, what only the others' logs show: fees, charges above the limit, sharing.
        local_kwh: energy traded with neighbours; how much falls to the member, only the others' logs show.
    """

    sessions: int = 0
    slots: int = 0
    without_line: int = 0
    corrections: int = 0
    billed_eur: Decimal = Decimal(0)
    taken_on_trust_eur: Decimal = Decimal(0)
    local_kwh: Decimal = Decimal(0)


@dataclass(slots=True)
class _Session:
    slots: int = 0
    slot_minutes: int = 1
    import_price_eur_per_kwh: Prices | None = None
    export_price_eur_per_kwh: Prices | None = None
    demand_charge_eur_per_kw: Decimal = Decimal(0)
    agreement: Agreement | None = None
    report: BargainReport | None = None
    deliveries: dict[str, MeteredDelivery] = field(default_factory=dict)
    told: list[Said] = field(default_factory=list)
    lines: dict[int, BillLine] = field(default_factory=dict)
    corrections: dict[str, DeliveryCorrection] = field(default_factory=dict)
    adjustments: dict[int, AdjustmentLine] = field(default_factory=dict)
    net_kwh: dict[int, Decimal] = field(default_factory=dict)
    fee_eur_per_kwh: Decimal | None = None


def check_member(log: Path) -> tuple[Findings, MemberProof]:
    """Check every bill line and bill in a member's log.

    A line's energy is what the member delivered, its prices are those that it was told (the tariffs in round
    0, the local price in the agreement), its amount is energy times price; a bill is the sum of its lines,
    the demand charge on the member's own peak, and what the session's sharing adds.

    Args:
        log: the member's log.

    Raises:
        LogError: its chain is broken, or it cannot be read.
    """
    findings, proof = Findings(), MemberProof()
    horizons: list[tuple[int, int]] = []
    sessions: dict[int, _Session] = {}
    for said in said_in(log, findings):
        if not isinstance(said, Said):
            continue
        body = said.body
        if isinstance(body, Admission):
            horizons = [(horizon.slots, horizon.slot_minutes) for horizon in body.sessions]
        number = getattr(body, "session", None)
        if number is None:
            continue
        session = sessions.setdefault(number, _Session())
        sent = said.record.kind is RecordKind.OUT
        match body:
            case PriceSignal(round=0) if not sent:
                session.import_price_eur_per_kwh = _exact(body.import_price_eur_per_kwh)
                session.export_price_eur_per_kwh = _exact(body.export_price_eur_per_kwh)
                session.demand_charge_eur_per_kw = Decimal(repr(body.demand_charge_eur_per_kw)).quantize(
                    PRICE_STEP_EUR_PER_KWH
                )
            case Agreement() if not sent:
                session.agreement = body
            case BargainReport() if sent:
                session.report = body
            case MeteredDelivery() if sent:
                session.deliveries[said.envelope.message_id] = body
            case DeliveryCorrection() if sent:
                session.corrections[said.envelope.message_id] = body
            case BillLine() | AdjustmentLine() | SessionClosed() if not sent:
                session.told.append(said)
    for number, session in sorted(sessions.items()):
        if number < len(horizons):
            session.slots, session.slot_minutes = horizons[number]
            _check_told(session, findings, proof)
        elif session.told:
            findings.add(f"{session.told[0].name}: the admission names {counted(len(horizons), 'session')}")
    return findings, proof


def _check_told(session: _Session, findings: Findings, proof: MemberProof) -> None:
    """Lines first: what was said twice or late may have overtaken what was said before."""
    for said in session.told:
        if isinstance(said.body, BillLine):
            _check_line(said, said.body, session, findings, proof)
    for said in session.told:
        if isinstance(said.body, AdjustmentLine):
            _check_adjustment(said, said.body, session, findings, proof)
    for said in session.told:
        if isinstance(said.body, SessionClosed):
            _check_bill(said, said.body, session, findings, proof)


def _exact(prices: list[float]) -> Prices:
    return [Decimal(repr(price)).quantize(PRICE_STEP_EUR_PER_KWH) for price in prices]


def _check_line(
    said: Said, line: BillLine, session: _Session, findings: Findings, proof: MemberProof
) -> None:
    delivery = session.deliveries.get(said.envelope.in_reply_to or "")
    agreement = session.agreement
    imports, exports = session.import_price_eur_per_kwh, session.export_price_eur_per_kwh
    if delivery is None or delivery.slot != line.slot:
        findings.add(f"{said.name}: answers no delivery of slot {line.slot}")
        return
    if agreement is None or imports is None or exports is None:
        findings.add(f"{said.name}: came before prices were told and agreed")
        return
    if line.slot in session.lines:
        findings.add(f"{said.name}: slot {line.slot} was settled before")
        return
    local = agreement.local_price_eur_per_kwh[line.slot]
    expected = {
        "import_price_eur_per_kwh": imports[line.slot],
        "export_price_eur_per_kwh": exports[line.slot],
        "local_price_eur_per_kwh": None if local is None else _exact([local])[0],
        "quality": delivery.quality,
    }
    good = findings.compare(said.name, line.model_dump(), expected)
    taken, given = line.local_purchase_kwh + line.grid_import_kwh, line.local_sale_kwh + line.grid_export_kwh
    good &= findings.compare(
        said.name,
        {"energy taken in all": taken, "energy given in all": given},
        {
            "energy taken in all": delivery.grid_import_kwh.quantize(ENERGY_STEP_KWH),
            "energy given in all": delivery.grid_export_kwh.quantize(ENERGY_STEP_KWH),
        },
    )
    good &= findings.compare(said.name, {"amount_eur": line.amount_eur}, {"amount_eur": _amount_eur(line)})
    good &= _check_contracts(said, line, session, findings)
    good &= _check_fee(said, line, session, findings)
    if agreement.apart:
        traded = {"energy traded": line.local_purchase_kwh + line.local_sale_kwh}
        good &= findings.compare(said.name, traded, {"energy traded": Decimal(0)})
    session.lines[line.slot] = line
    session.net_kwh[line.slot] = delivery.net_kwh.quantize(ENERGY_STEP_KWH)
    proof.slots += good
    proof.local_kwh += line.local_purchase_kwh + line.local_sale_kwh
    proof.taken_on_trust_eur += line.local_fee_eur + line.excess_charge_eur


def _check_adjustment(
    said: Said, told: AdjustmentLine, session: _Session, findings: Findings, proof: MemberProof
) -> None:
    """A correction comes to the difference of energy at the grid's tariffs."""
    correction, line = session.corrections.get(said.envelope.in_reply_to or ""), session.lines.get(told.slot)
    if correction is None or correction.slot != told.slot:
        findings.add(f"{said.name}: answers no correction of slot {told.slot}")
        return
    session.adjustments[told.slot] = told
    if line is None:
        return  # Settled without a word: with what, only the coordinator's log shows.
    settled = SettledGrid(
        line.local_purchase_kwh + line.grid_import_kwh - line.local_sale_kwh - line.grid_export_kwh,
        line.grid_import_kwh,
        line.grid_export_kwh,
        line.import_price_eur_per_kwh,
        line.export_price_eur_per_kwh,
    )
    expected = adjustment(settled, correction)
    session.net_kwh[told.slot] = expected.corrected_net_kwh
    proof.corrections += findings.compare(said.name, told.model_dump(), expected.model_dump())


def _amount_eur(line: BillLine) -> Decimal:
    bought, sold = (
        line.local_purchase_kwh - line.contract_purchase_kwh,
        line.local_sale_kwh - line.contract_sale_kwh,
    )
    local = line.local_price_eur_per_kwh or Decimal(0)
    return (
        local * (bought - sold)
        + line.contract_eur
        + line.import_price_eur_per_kwh * line.grid_import_kwh
        - line.export_price_eur_per_kwh * line.grid_export_kwh
        + line.local_fee_eur
        + line.excess_charge_eur
    )


def _check_contracts(said: Said, line: BillLine, session: _Session, findings: Findings) -> bool:
    """No more by contract than the member agreed on, at no price beyond those it agreed on."""
    bought, sold = Decimal(0), Decimal(0)
    prices: list[Decimal] = []
    for trade in session.report.trades if session.report is not None else ():
        if line.slot in trade.slots:
            place = trade.slots.index(line.slot)
            bought += Decimal(repr(trade.purchase_kwh[place])).quantize(ENERGY_STEP_KWH)
            sold += Decimal(repr(trade.sale_kwh[place])).quantize(ENERGY_STEP_KWH)
            prices += _exact([trade.price_eur_per_kwh[place]])
    pooled = (
        line.local_purchase_kwh - line.contract_purchase_kwh,
        line.local_sale_kwh - line.contract_sale_kwh,
    )
    if line.contract_purchase_kwh > bought or line.contract_sale_kwh > sold or min(pooled) < 0:
        findings.add(
            f"{said.name}: by contract {line.contract_purchase_kwh:f} kWh bought and "
            f"{line.contract_sale_kwh:f} sold, expected no more than {bought:f} and {sold:f}"
        )
        return False
    low, high = (min(prices), max(prices)) if prices else (Decimal(0), Decimal(0))
    most = high * line.contract_purchase_kwh - low * line.contract_sale_kwh
    least = low * line.contract_purchase_kwh - high * line.contract_sale_kwh
    if not least <= line.contract_eur <= most:
        findings.add(
            f"{said.name}: contract_eur: found {line.contract_eur:f}, expected {least:f} to {most:f} "
            "at the prices agreed on"
        )
        return False
    return True


def _check_fee(said: Said, line: BillLine, session: _Session, findings: Findings) -> bool:
    """The fee is the same for every kWh traded in the session."""
    traded = line.local_purchase_kwh + line.local_sale_kwh
    if not traded:
        return findings.compare(
            said.name, {"local_fee_eur": line.local_fee_eur}, {"local_fee_eur": Decimal(0)}
        )
    if session.fee_eur_per_kwh is None:
        session.fee_eur_per_kwh = (line.local_fee_eur / traded).quantize(PRICE_STEP_EUR_PER_KWH / 10)
    expected = session.fee_eur_per_kwh * traded
    return findings.compare(said.name, {"local_fee_eur": line.local_fee_eur}, {"local_fee_eur": expected})


def _check_bill(
    said: Said, closed: SessionClosed, session: _Session, findings: Findings, proof: MemberProof
) -> None:
    proof.sessions += 1
    proof.billed_eur += closed.amount_eur
    if session.agreement is not None and session.agreement.apart:
        findings.compare(said.name, {"sharing_eur": closed.sharing_eur}, {"sharing_eur": Decimal(0)})
    proof.taken_on_trust_eur += closed.sharing_eur
    missing = session.slots - len(session.lines)
    proof.without_line += missing
    if missing:
        return  # Slots settled at the agreed position, without a word: the sum cannot be told from here.
    peak_kwh = max([*session.net_kwh.values(), Decimal(0)])
    demand = mean_power_kw(peak_kwh, session.slot_minutes) * session.demand_charge_eur_per_kw
    findings.compare(
        said.name, {"demand_charge_eur": closed.demand_charge_eur}, {"demand_charge_eur": demand}
    )
    exact = sum((line.amount_eur for line in session.lines.values()), demand + closed.sharing_eur)
    exact = sum((line.amount_eur for line in session.adjustments.values()), exact)
    if abs(closed.amount_eur - exact) >= CENT_EUR:
        findings.add(
            f"{said.name}: amount_eur: found {closed.amount_eur:f}, expected {exact:f} to less than a cent"
        )
