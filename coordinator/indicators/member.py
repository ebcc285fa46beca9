"""Indicators of one member over some settled slots."""

from __future__ import annotations

from decimal import Decimal

from coordinator.indicators import measures as ind
from coordinator.indicators.stretch import Stretch

Values = dict[str, float | int | None]
"""Indicator to value; None where an indicator has no meaning."""


def member_values(name: str, stretch: Stretch) -> Values:
    """Compute a member's indicators.

    Args:
        name: the member's name.
        stretch: the settled slots.
    """
    net = stretch.net_kwh[name]
    load, pv, stored = (part.get(name) for part in (stretch.load_kwh, stretch.pv_kwh, stretch.stored_kwh))
    bills = [bill for bill in stretch.bills if bill.member == name]
    bill = float(sum((b.exact_eur for b in bills), Decimal(0)))
    alone_cost = stretch.alone_cost_eur.get(name)
    return {
        "load_kwh": None if load is None else float(load.sum()),
        "pv_kwh": None if pv is None else float(pv.sum()),
        "import_kwh": float(ind.imports_kwh(net).sum()),
        "export_kwh": float(ind.exports_kwh(net).sum()),
        "stored_change_kwh": None
        if stored is None
        else float(stored[-1] - stored[0])
        if stored.size
        else 0.0,
        "local_purchase_kwh": float(sum((b.local_purchase_kwh for b in bills), Decimal(0))),
        "local_sale_kwh": float(sum((b.local_sale_kwh for b in bills), Decimal(0))),
        "self_sufficiency": None if load is None else ind.self_sufficiency(load, ind.imports_kwh(net)),
        "self_consumption": None if pv is None else ind.self_consumption(pv, ind.exports_kwh(net)),
        "peak_import_kw": ind.peak_import_kw(net, stretch.slot_hours),
        "load_factor": ind.load_factor(net, stretch.slot_hours),
        "alone_cost_eur": alone_cost,
        "metered_cost_eur": stretch.metered_cost_eur[name],
        "bill_eur": bill,
        "billed_eur": float(sum((b.amount_eur for b in bills), Decimal(0))),
        "saving_eur": None if alone_cost is None else alone_cost - bill,
        "saving_percent": None if alone_cost is None else ind.saving_percent(alone_cost, bill),
        "disclosed_numbers_per_slot": _disclosed_per_slot(name, stretch),
        "planning_seconds": stretch.planning_seconds.get(name),
        "estimated_slots": stretch.quality[name].count("estimated"),
        "missing_slots": stretch.quality[name].count("missing"),
    }


def _disclosed_per_slot(name: str, stretch: Stretch) -> float | None:
    slots = stretch.slot_hours.size
    if stretch.traffic is None or not slots:
        return None
    return stretch.traffic.numbers_of(name) / slots
