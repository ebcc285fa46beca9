"""A session settled again, from what its messages say and the published terms alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from coordinator.costs import CommunityTariff
from coordinator.rolling import operated_contracts
from coordinator.settlement import (
    ENERGY_STEP_KWH,
    PRICE_STEP_EUR_PER_KWH,
    SettlementTerms,
    agreed_contracts,
    bill_lines,
    bills,
    demand_charges,
    settled_slot,
    sharing,
)
from coordinator.trades import matched_contracts, reported_trade
from coordinator.verification.adjusted import enter_corrections
from coordinator.verification.evidence import SessionEvidence
from runtime.configuration import CoordinatorSession
from runtime.protocol.bargain_bodies import BargainReport
from runtime.protocol.bodies import Agreement, BillLine, MeteredDelivery
from runtime.records import AgreedContract, Bill, Delivery, LedgerEntry, SessionRecord

SETTLED_FIELDS = ("deliveries", "ledger", "contracts", "bills")
"""Parts of a session's record that follow from what was settled."""


@dataclass(slots=True)
class Settled:
    """A session as it should have been settled.

    Attributes:
        members: who took part, in the order of settlement.
        local_price_eur_per_kwh: of the pool, by slot.
        contracts: between members.
        deliveries: what was settled.
        ledger: the double entries.
        lines: by slot, each member's bill line.
        bills: the members' bills.
        shared: whether it was shared out over all slots.
        apart: members told that they are settled at the grid's tariffs.
        free_kwh: what each was told to be free of charges for the limit, import > 0, by slot; {} of none.
    """

    members: list[str]
    local_price_eur_per_kwh: list[Decimal | None]
    contracts: list[AgreedContract]
    deliveries: list[Delivery] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    lines: list[dict[str, BillLine]] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    shared: bool = False
    apart: list[str] = field(default_factory=list)
    free_kwh: dict[str, list[Decimal]] = field(default_factory=dict)

    def in_place_of(self, session: SessionRecord) -> SessionRecord:
        """A session's record with what was settled again instead of what it says was settled."""
        return session.model_copy(update={name: getattr(self, name) for name in SETTLED_FIELDS})


def settle_again(
    evidence: SessionEvidence,
    terms: CoordinatorSession,
    order: list[str],
    made: Sequence[AgreedContract] = (),
) -> Settled:
    """Settle a session from its messages.

    A member whose delivery did not come in time is settled at its agreed position. Contracts are what both
    sides reported alike; those of a member that was sent back to its plan of round 0 do not count. Where
    members did not bargain, contracts are those that the mechanism makes of their orders. The session is
    shared out over all slots if any member was told of a sharing.

    Args:
        evidence: what was said.
        terms: horizon, tariffs and grid terms.
        order: the scenario's members, in order.
        made: contracts that the mechanism makes.

    Raises:
        ValueError: the messages do not hold together: no agreement, or of another length.
    """
    agreed = evidence.agreed
    members = [name for name in order if name in agreed]
    if not members:
        raise ValueError("nobody was told of an agreement")
    slots = terms.horizon.slots
    told = agreed[members[0]].local_price_eur_per_kwh
    if len(told) != slots:
        raise ValueError(f"the agreement has {len(told)} slots, expected {slots}")
    local = [
        None if price is None else Decimal(repr(price)).quantize(PRICE_STEP_EUR_PER_KWH) for price in told
    ]
    contracts = _contracts(evidence, terms, members) if evidence.reports else list(made)
    apart = [name for name in members if agreed[name].apart]
    settled = Settled(members, local, contracts, apart=apart)
    if all(agreed[name].free_import_kwh is not None for name in members):
        settled.free_kwh = {name: _free_kwh(agreed[name], slots) for name in members}
    operated = terms.operated.slots
    settlement = SettlementTerms(
        session=evidence.number,
        slot_minutes=terms.horizon.slot_minutes,
        import_price_eur_per_kwh=terms.import_price_eur_per_kwh,
        export_price_eur_per_kwh=terms.export_price_eur_per_kwh,
        local_price_eur_per_kwh=local,
        contracts=contracts,
        grid=terms.grid,
        apart=apart,
        free_kwh=settled.free_kwh,
    )
    for slot in range(operated):
        _settle_slot(settled, evidence, settlement, slot)
    enter_corrections(evidence, settled)
    settled.shared = any(closed.sharing_eur for closed in evidence.bills.values())
    if settled.shared:
        settled.ledger += sharing(evidence.number, operated - 1, members, settled.ledger, apart)
    settled.ledger += demand_charges(
        evidence.number,
        members,
        settled.deliveries,
        terms.horizon.slot_minutes,
        terms.grid.demand_charge_eur_per_kw,
    )
    settled.contracts = operated_contracts(settled.contracts, operated)
    settled.bills = bills(evidence.number, members, settled.ledger)
    return settled


def _contracts(
    evidence: SessionEvidence, terms: CoordinatorSession, members: list[str]
) -> list[AgreedContract]:
    agreed = evidence.agreed
    reports = {
        name: said.body
        for name, said in evidence.reports.items()
        if name in members and isinstance(said.body, BargainReport)
    }
    back = {name for name, report in reports.items() if agreed[name].position_round < report.round}
    slots = terms.horizon.slots
    told = {
        name: [reported_trade(trade, slots) for trade in report.trades] for name, report in reports.items()
    }
    tariff = CommunityTariff.of_session(terms)
    others = evidence.across.others
    inside = {name: [each for each in own if each.partner not in others] for name, own in told.items()}
    beyond = {name: [each for each in own if each.partner in others] for name, own in told.items()}
    contracts, _ = matched_contracts(inside, members, tariff)
    everybody = [*members, *others]
    kept = [
        each
        for each in (*contracts, *evidence.across.contracts(beyond, members, tariff))
        if not {everybody[each.seller], everybody[each.buyer]} & back
    ]
    return agreed_contracts(kept, everybody, tariff.suspended)


def _free_kwh(agreed: Agreement, slots: int) -> list[Decimal]:
    imports, exports = agreed.free_import_kwh or [], agreed.free_export_kwh or []
    if not len(imports) == len(exports) == slots:
        raise ValueError(
            f"what is free of charge has {len(imports)} and {len(exports)} slots, expected {slots}"
        )
    return [taken - given for taken, given in zip(imports, exports, strict=True)]


def _settle_slot(settled: Settled, evidence: SessionEvidence, settlement: SettlementTerms, slot: int) -> None:
    delivered = evidence.slot(slot).delivered
    deliveries = [_delivery_of(name, slot, delivered.get(name), evidence) for name in settled.members]
    net_kwh = {each.member: each.net_kwh for each in deliveries}
    found = settled_slot(settlement, slot, net_kwh, evidence.across.counterpart(slot))
    settled.deliveries += deliveries
    settled.ledger += found.entries
    qualities = [each.quality for each in deliveries]
    settled.lines.append(
        bill_lines(evidence.number, slot, found.exchange, found.entries, found.prices, qualities)
    )


def _delivery_of(member: str, slot: int, body: MeteredDelivery | None, evidence: SessionEvidence) -> Delivery:
    if body is not None:
        net_kwh = body.grid_import_kwh - body.grid_export_kwh
        return Delivery(
            slot=slot,
            member=member,
            net_kwh=net_kwh.quantize(ENERGY_STEP_KWH),
            quality=body.quality,
            meters=list(body.meters),
        )
    agreed = evidence.agreed[member]
    position = Decimal(repr(agreed.grid_import_kwh[slot])) - Decimal(repr(agreed.grid_export_kwh[slot]))
    return Delivery(slot=slot, member=member, net_kwh=position.quantize(ENERGY_STEP_KWH), quality="missing")
