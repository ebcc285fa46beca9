"""Indicators of the community as a whole over some settled slots."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from coordinator.indicators import efficiency, fairness
from coordinator.indicators import measures as ind
from coordinator.indicators.member import Values
from coordinator.indicators.stretch import Stretch
from coordinator.indicators.zhou import zhou_indices


def community_values(members: Mapping[str, Values], stretch: Stretch) -> Values:
    """Compute the community's indicators.

    Args:
        members: the members' own indicators.
        stretch: the settled slots.
    """
    total = _Totals(members)
    bill_eur = float(sum((b.exact_eur for b in stretch.bills), Decimal(0)))
    return {
        **_energy(total, stretch),
        **_money(total, stretch, bill_eur),
        **_fairness(members),
        **_efficiency(total, stretch, bill_eur),
        **_zhou(members, total, stretch),
        **_prices(stretch),
        **_process(members, total, stretch),
    }


class _Totals:
    """Sums over members; None if one of them is."""

    def __init__(self, members: Mapping[str, Values]) -> None:
        self._members = members

    def __call__(self, name: str) -> float | None:
        values = [values[name] for values in self._members.values()]
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None


def _energy(total: _Totals, stretch: Stretch) -> Values:
    load, pv, taken, given = (total(name) for name in ("load_kwh", "pv_kwh", "import_kwh", "export_kwh"))
    boundary, hours = stretch.boundary_kwh, stretch.slot_hours
    boundary_import, boundary_export = ind.imports_kwh(boundary), ind.exports_kwh(boundary)
    intensity, alone = stretch.co2_intensity_g_per_kwh, stretch.alone_boundary_kwh
    return {
        "load_kwh": load,
        "pv_kwh": pv,
        "import_kwh": taken,
        "export_kwh": given,
        "boundary_import_kwh": float(boundary_import.sum()),
        "boundary_export_kwh": float(boundary_export.sum()),
        "stored_change_kwh": total("stored_change_kwh"),
        "local_purchase_kwh": total("local_purchase_kwh"),
        "local_sale_kwh": total("local_sale_kwh"),
        "self_sufficiency": None if load is None else ind.self_sufficiency(load, taken or 0.0),
        "boundary_self_sufficiency": None if load is None else ind.self_sufficiency(load, boundary_import),
        "self_consumption": None if pv is None else ind.self_consumption(pv, given or 0.0),
        "boundary_self_consumption": None if pv is None else ind.self_consumption(pv, boundary_export),
        "peak_import_kw": ind.peak_import_kw(boundary, hours),
        "load_factor": ind.load_factor(boundary, hours),
        "loss_proxy_kw2h": ind.squared_power_kw2h(boundary, hours),
        "alone_loss_proxy_kw2h": None if alone is None else ind.squared_power_kw2h(alone, hours),
        "co2_kg": None if intensity is None else ind.co2_kg(boundary, intensity),
        "alone_co2_kg": None if intensity is None or alone is None else ind.co2_kg(alone, intensity),
    }


def _money(total: _Totals, stretch: Stretch, bill_eur: float) -> Values:
    alone = total("alone_cost_eur")
    return {
        "alone_cost_eur": alone,
        "metered_cost_eur": total("metered_cost_eur"),
        "bill_eur": bill_eur,
        "billed_eur": total("billed_eur"),
        "saving_eur": None if alone is None else alone - bill_eur,
        "saving_percent": None if alone is None else ind.saving_percent(alone, bill_eur),
    }


def _fairness(members: Mapping[str, Values]) -> Values:
    savings = [v for values in members.values() if (v := values["saving_eur"]) is not None]
    everyone = bool(savings) and len(savings) == len(members)
    return {
        "saving_min_eur": min(savings) if everyone else None,
        "saving_max_eur": max(savings) if everyone else None,
        "saving_min_over_max": fairness.min_over_max(savings) if everyone else None,
        "saving_gini": fairness.gini(savings) if everyone else None,
        "saving_jain": fairness.jain(savings) if everyone else None,
        "members_worse_off": fairness.members_worse_off(savings) if everyone else None,
    }


def _efficiency(total: _Totals, stretch: Stretch, bill_eur: float) -> Values:
    alone, reference = total("alone_cost_eur"), stretch.reference
    optimum = None if reference is None else reference.cost_eur
    return {
        "optimum_cost_eur": optimum,
        "optimum_uncertainty_eur": None if reference is None else reference.cost_eur - reference.bound_eur,
        "welfare_gap_eur": None if optimum is None else bill_eur - optimum,
        "score": None if alone is None or optimum is None else efficiency.score(alone, bill_eur, optimum),
        "price_of_decentralisation": None
        if optimum is None
        else efficiency.price_of_decentralisation(bill_eur, optimum),
    }


def _zhou(members: Mapping[str, Values], total: _Totals, stretch: Stretch) -> Values:
    load, pv, alone_boundary = total("load_kwh"), total("pv_kwh"), stretch.alone_boundary_kwh
    names = (
        "zhou_value_tapping",
        "zhou_participation",
        "zhou_equality",
        "zhou_energy_balance",
        "zhou_power_flatness",
        "zhou_self_sufficiency",
        "zhou_economic",
        "zhou_technical",
        "zhou_overall",
    )
    if load is None or pv is None or alone_boundary is None or total("alone_cost_eur") is None:
        return dict.fromkeys(names)
    found = zhou_indices(
        alone_costs_eur=[values["alone_cost_eur"] or 0.0 for values in members.values()],
        costs_eur=[values["bill_eur"] or 0.0 for values in members.values()],
        optimum_cost_eur=stretch.reference.cost_eur if stretch.reference else None,
        boundary_kwh=stretch.boundary_kwh,
        alone_boundary_kwh=alone_boundary,
        slot_hours=stretch.slot_hours,
        load_kwh=load,
        pv_kwh=pv,
    )
    return {name: getattr(found, name.removeprefix("zhou_")) for name in names}


def _prices(stretch: Stretch) -> Values:
    purchase = _mean_price_eur_per_kwh(stretch, "contract", "local-purchase", "grid-import")
    sale = _mean_price_eur_per_kwh(stretch, "contract", "local-sale", "grid-export")
    return {
        "purchase_price_eur_per_kwh": purchase,
        "sale_price_eur_per_kwh": sale,
        "local_price_eur_per_kwh": _mean_price_eur_per_kwh(stretch, "contract", "local-sale"),
        "price_spread_eur_per_kwh": None if purchase is None or sale is None else purchase - sale,
    }


def _process(members: Mapping[str, Values], total: _Totals, stretch: Stretch) -> Values:
    traffic, disclosed = stretch.traffic, total("disclosed_numbers_per_slot")
    return {
        "rounds": stretch.rounds,
        "messages": None if traffic is None else traffic.messages,
        "negotiation_seconds": None if traffic is None else traffic.negotiation_seconds,
        "planning_seconds": total("planning_seconds"),
        "disclosed_numbers_per_slot": disclosed / len(members) if disclosed is not None and members else None,
        "suspended_slots": stretch.suspended_slots,
        "estimated_slots": total("estimated_slots"),
        "missing_slots": total("missing_slots"),
    }


def _mean_price_eur_per_kwh(stretch: Stretch, *kinds: str) -> float | None:
    """Money per energy of the ledger's entries of these kinds: as settled, before corrections."""
    entries = [entry for entry in stretch.ledger if entry.kind in kinds]
    amount_eur = sum((entry.amount_eur for entry in entries), Decimal(0))
    energy_kwh = sum((entry.energy_kwh for entry in entries), Decimal(0))
    return ind.mean_price_eur_per_kwh(float(amount_eur), float(energy_kwh))
