"""Indicators of either of two communities, and of what they exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from coordinator.indicators.community import community_values
from coordinator.indicators.definitions import Definition
from coordinator.indicators.member import Values, member_values
from coordinator.indicators.stretch import Stretch, joined, stretch_of
from runtime.records import CommunityRecord, CoordinatorRecord, MemberRecord, SessionRecord

PART_DEFINITIONS = {
    "members": Definition("1", "number of members"),
    "from_other_kwh": Definition("kWh", "energy that members had from the other community"),
    "to_other_kwh": Definition("kWh", "energy that members gave to the other community"),
    "from_other_contracts_kwh": Definition("kWh", "of the energy from the other, by members' contracts"),
    "to_other_contracts_kwh": Definition("kWh", "of the energy to the other, by members' contracts"),
    "paid_other_eur": Definition("EUR", "paid the other community for its energy, less what was earned"),
    "mean_pool_price_eur_per_kwh": Definition(
        "EUR/kWh", "mean price of what the pools exchanged; none if nothing was"
    ),
    "together_slots": Definition("1", "slots settled with the other community"),
    "alone_slots": Definition("1", "slots settled alone, the other community being silent"),
}
"""Of either community, beside those below."""

_OF_A_COMMUNITY = (
    "load_kwh",
    "pv_kwh",
    "import_kwh",
    "export_kwh",
    "boundary_import_kwh",
    "boundary_export_kwh",
    "local_purchase_kwh",
    "local_sale_kwh",
    "self_sufficiency",
    "boundary_self_sufficiency",
    "self_consumption",
    "peak_import_kw",
    "alone_cost_eur",
    "bill_eur",
    "saving_eur",
    "saving_percent",
    "saving_jain",
    "members_worse_off",
)
"""Indicators of any community that also say something of one of two, which borders on the other too."""


def part_values(
    coordinator: CoordinatorRecord,
    sessions: Sequence[SessionRecord],
    stretches: Sequence[Stretch],
    members: Mapping[str, MemberRecord],
) -> dict[str, Values]:
    """Either community's indicators, by name; empty where all members are in one.

    Args:
        coordinator: the joined record.
        sessions: those of it that are to be looked at together.
        stretches: the same, of all members: what each would pay alone depends on all.
        members: the members' own records by name.

    Raises:
        InputError: the records contradict each other.
    """
    found: dict[str, Values] = {}
    for name in dict.fromkeys(part.name for session in sessions for part in session.communities):
        parts = [part for session in sessions for part in session.communities if part.name == name]
        names = [each for each in coordinator.members if any(each in part.members for part in parts)]
        own = [stretch_of(names, _own(session, names), members, None, None) for session in sessions]
        whole = joined(
            names, [_alone_as(each, stretch) for each, stretch in zip(own, stretches, strict=True)]
        )
        values = community_values({each: member_values(each, whole) for each in names}, whole)
        found[name] = {
            "members": len(names),
            **{indicator: values[indicator] for indicator in _OF_A_COMMUNITY},
            **_exchanged(parts),
            "alone_slots": whole.slot_hours.size - sum(len(part.exchanges) for part in parts),
        }
    return found


def _alone_as(own: Stretch, whole: Stretch) -> Stretch:
    """What members would pay alone, on the connection that they share with all."""
    costs = {name: cost for name, cost in whole.alone_cost_eur.items() if name in own.net_kwh}
    metered = {name: whole.metered_cost_eur[name] for name in own.net_kwh}
    return replace(own, alone_cost_eur=costs, metered_cost_eur=metered)


def _own(session: SessionRecord, names: Sequence[str]) -> SessionRecord:
    """The session as far as it is about these members."""
    own = {*names}
    return session.model_copy(
        update={
            "deliveries": [each for each in session.deliveries if each.member in own],
            "ledger": [entry for entry in session.ledger if own & {*entry.parties()}],
            "bills": [bill for bill in session.bills if bill.member in own],
        }
    )


def _exchanged(parts: Sequence[CommunityRecord]) -> Values:
    exchanges = [exchange for part in parts for exchange in part.exchanges]

    def whole(*fields: str) -> Decimal:
        return sum((getattr(each, field) for each in exchanges for field in fields), Decimal(0))

    pooled_kwh = whole("pool_import_kwh", "pool_export_kwh")
    amount_eur = sum((abs(each.pool_paid_eur) for each in exchanges), Decimal(0))
    return {
        "from_other_kwh": float(whole("contract_import_kwh", "pool_import_kwh")),
        "to_other_kwh": float(whole("contract_export_kwh", "pool_export_kwh")),
        "from_other_contracts_kwh": float(whole("contract_import_kwh")),
        "to_other_contracts_kwh": float(whole("contract_export_kwh")),
        "paid_other_eur": float(whole("contract_paid_eur", "pool_paid_eur") - whole("contract_earned_eur")),
        "mean_pool_price_eur_per_kwh": float(amount_eur) / float(pooled_kwh) if pooled_kwh else None,
        "together_slots": len(exchanges),
    }
