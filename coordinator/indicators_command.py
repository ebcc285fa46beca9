"""Computes the indicators of a finished run from its records, and writes ``indicators.json``.

Costs of profiles are measurements in floating point; bills are summed in exact decimals and only then
written as numbers. The exact money is in the ledger and the bills.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from coordinator import indicators as ind
from coordinator.indicator_definitions import DEFINITIONS
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.records import Bill, CoordinatorRecord, LedgerEntry, MemberRecord, SessionRecord
from runtime.results.reading import read_records, session_of
from runtime.rundir import RunDirectory

Values = dict[str, float | int | None]


@dataclass(frozen=True)
class _Stretch:
    """The settled slots of one or more sessions. Arrays have shape (slots,), one after the other.

    ``load_kwh``, ``pv_kwh``, ``alone_net_kwh`` and ``stored_kwh`` lack the members that left no record of
    their own; ``stored_kwh`` is empty without battery.
    """

    slot_hours: ind.Array
    import_price_eur_per_kwh: ind.Array
    export_price_eur_per_kwh: ind.Array
    net_kwh: dict[str, ind.Array]
    quality: dict[str, list[str]]
    load_kwh: dict[str, ind.Array]
    pv_kwh: dict[str, ind.Array]
    alone_net_kwh: dict[str, ind.Array]
    stored_kwh: dict[str, ind.Array]
    ledger: list[LedgerEntry]
    bills: list[Bill]
    rounds: int
    suspended_slots: int


def indicators(coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]) -> dict[str, Any]:
    """Compute all indicators of a run.

    Args:
        coordinator: the coordinator's record.
        members: the members' own records by name; a member without one has ``None`` where its load,
            production or baseline is needed, and so have the community's sums.

    Returns:
        JSON-ready: ``definitions`` (per indicator its unit, explanation, source), ``run`` and ``sessions``;
        the run and each session have ``community`` (indicator to value) and ``members`` (member to
        indicator to value).

    Raises:
        InputError: the records contradict each other: a slot without a member's delivery, or arrays that
            do not cover the horizon.
    """
    stretches = [_stretch(coordinator.members, session, members) for session in coordinator.sessions]
    sessions = [
        {
            "session": session.session,
            "start": session.horizon.local(0).isoformat(),
            "end": session.horizon.local(session.horizon.slots).isoformat(),
            **_values(coordinator.members, stretch),
        }
        for session, stretch in zip(coordinator.sessions, stretches, strict=True)
    ]
    for session, entry in zip(coordinator.sessions, sessions, strict=True):
        entry["community"]["agreed_round"] = session.agreed_round
    return {
        "community": coordinator.community,
        "setting": coordinator.setting,
        "mechanism": coordinator.mechanism,
        "members": list(coordinator.members),
        "definitions": {name: definition._asdict() for name, definition in DEFINITIONS.items()},
        "run": _values(coordinator.members, _joined(coordinator.members, stretches)),
        "sessions": sessions,
    }


def write_indicators(run: Path) -> dict[str, Any]:
    """Compute the indicators of the run in directory ``run`` and write them to its ``indicators.json``.

    Returns:
        What ``indicators`` returns.

    Raises:
        InputError: records are missing, damaged or contradict each other.
    """
    result = indicators(*read_records(run))
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomically(RunDirectory(run).indicators_json, text + "\n")
    return result


def _stretch(names: Sequence[str], session: SessionRecord, records: Mapping[str, MemberRecord]) -> _Stretch:
    where = f"records/coordinator.json, session {session.session}"
    net: dict[str, dict[int, float]] = {name: {} for name in names}
    quality: dict[str, list[str]] = {name: [] for name in names}
    for delivery in session.deliveries:
        if delivery.member not in net:
            raise InputError(f"{where}: delivery of {delivery.member!r}, expected one of {', '.join(names)}")
        if delivery.slot in net[delivery.member] or not 0 <= delivery.slot < session.horizon.slots:
            raise InputError(
                f"{where}: slot {delivery.slot} of {delivery.member!r} is there twice or no slot"
            )
        net[delivery.member][delivery.slot] = float(delivery.net_kwh)
        quality[delivery.member].append(delivery.quality)
    slots = sorted(set().union(*net.values()))
    for name in names:
        if len(net[name]) != len(slots):
            lacking = next(slot for slot in slots if slot not in net[name])
            raise InputError(f"{where}: slot {lacking} has no delivery of {name!r}")
    own = {name: session_of(records[name], session) for name in names if name in records}

    def arrays(field: str) -> dict[str, ind.Array]:
        return {name: np.array(getattr(o, field), dtype=np.float64)[slots] for name, o in own.items() if o}

    return _Stretch(
        slot_hours=np.full(len(slots), session.horizon.slot_hours),
        import_price_eur_per_kwh=np.array([float(session.grid_import_price_eur_per_kwh[s]) for s in slots]),
        export_price_eur_per_kwh=np.array([float(session.grid_export_price_eur_per_kwh[s]) for s in slots]),
        net_kwh={name: np.array([net[name][slot] for slot in slots]) for name in names},
        quality=quality,
        load_kwh=arrays("load_kwh"),
        pv_kwh=arrays("pv_kwh"),
        alone_net_kwh=arrays("alone_net_kwh"),
        stored_kwh={
            name: np.array(o.stored_kwh, dtype=np.float64)[slots if o.stored_kwh else []]
            for name, o in own.items()
            if o
        },
        ledger=session.ledger,
        bills=session.bills,
        rounds=max((r.number for r in session.rounds), default=0),
        suspended_slots=len(session.suspended_slots),
    )


def _joined(names: Sequence[str], stretches: Sequence[_Stretch]) -> _Stretch:
    def arrays(parts: Sequence[Mapping[str, ind.Array]]) -> dict[str, ind.Array]:
        return {
            name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0)
            for name in names
            if all(name in part for part in parts)
        }

    def joined(parts: Iterable[ind.Array]) -> ind.Array:
        return np.concatenate([np.zeros(0), *parts])

    return _Stretch(
        slot_hours=joined(s.slot_hours for s in stretches),
        import_price_eur_per_kwh=joined(s.import_price_eur_per_kwh for s in stretches),
        export_price_eur_per_kwh=joined(s.export_price_eur_per_kwh for s in stretches),
        net_kwh=arrays([s.net_kwh for s in stretches]),
        quality={name: [q for s in stretches for q in s.quality[name]] for name in names},
        load_kwh=arrays([s.load_kwh for s in stretches]),
        pv_kwh=arrays([s.pv_kwh for s in stretches]),
        alone_net_kwh=arrays([s.alone_net_kwh for s in stretches]),
        stored_kwh=arrays([s.stored_kwh for s in stretches]),
        ledger=[entry for s in stretches for entry in s.ledger],
        bills=[bill for s in stretches for bill in s.bills],
        rounds=sum(s.rounds for s in stretches),
        suspended_slots=sum(s.suspended_slots for s in stretches),
    )


def _values(names: Sequence[str], stretch: _Stretch) -> dict[str, Any]:
    members = {name: _member(name, stretch) for name in names}
    return {
        "community": _tidy(_community(members, stretch)),
        "members": {name: _tidy(values) for name, values in members.items()},
    }


def _member(name: str, stretch: _Stretch) -> Values:
    net = stretch.net_kwh[name]
    tariffs = stretch.import_price_eur_per_kwh, stretch.export_price_eur_per_kwh
    load, pv, alone, stored = (
        part.get(name)
        for part in (stretch.load_kwh, stretch.pv_kwh, stretch.alone_net_kwh, stretch.stored_kwh)
    )
    bills = [bill for bill in stretch.bills if bill.member == name]
    bill = float(sum((b.exact_eur for b in bills), Decimal(0)))
    alone_cost = None if alone is None else ind.grid_cost_eur(alone, *tariffs)
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
        "metered_cost_eur": ind.grid_cost_eur(net, *tariffs),
        "bill_eur": bill,
        "billed_eur": float(sum((b.amount_eur for b in bills), Decimal(0))),
        "saving_eur": None if alone_cost is None else alone_cost - bill,
        "saving_percent": None if alone_cost is None else ind.saving_percent(alone_cost, bill),
        "estimated_slots": stretch.quality[name].count("estimated"),
        "missing_slots": stretch.quality[name].count("missing"),
    }


def _community(members: Mapping[str, Values], stretch: _Stretch) -> Values:
    def total(name: str) -> float | None:
        values = [values[name] for values in members.values()]
        return None if any(value is None for value in values) else sum(value or 0 for value in values)

    boundary = np.sum([*stretch.net_kwh.values(), np.zeros(stretch.slot_hours.size)], axis=0)
    load, pv, alone, saving = (total(n) for n in ("load_kwh", "pv_kwh", "alone_cost_eur", "saving_eur"))
    bill = float(sum((b.exact_eur for b in stretch.bills), Decimal(0)))
    savings = [v for values in members.values() if (v := values["saving_eur"]) is not None]
    everyone = saving is not None and bool(savings)
    taken, given = total("import_kwh") or 0.0, total("export_kwh") or 0.0
    purchase_price = ind.mean_price_eur_per_kwh(_amount(stretch, "local-purchase", "grid-import"), taken)
    sale_price = ind.mean_price_eur_per_kwh(_amount(stretch, "local-sale", "grid-export"), given)
    local = total("local_sale_kwh") or 0.0
    boundary_import, boundary_export = ind.imports_kwh(boundary), ind.exports_kwh(boundary)
    return {
        "load_kwh": load,
        "pv_kwh": pv,
        "import_kwh": taken,
        "export_kwh": given,
        "boundary_import_kwh": float(boundary_import.sum()),
        "boundary_export_kwh": float(boundary_export.sum()),
        "stored_change_kwh": total("stored_change_kwh"),
        "local_purchase_kwh": total("local_purchase_kwh"),
        "local_sale_kwh": local,
        "self_sufficiency": None if load is None else ind.self_sufficiency(load, taken),
        "boundary_self_sufficiency": None if load is None else ind.self_sufficiency(load, boundary_import),
        "self_consumption": None if pv is None else ind.self_consumption(pv, given),
        "boundary_self_consumption": None if pv is None else ind.self_consumption(pv, boundary_export),
        "peak_import_kw": ind.peak_import_kw(boundary, stretch.slot_hours),
        "load_factor": ind.load_factor(boundary, stretch.slot_hours),
        "alone_cost_eur": alone,
        "metered_cost_eur": total("metered_cost_eur"),
        "bill_eur": bill,
        "billed_eur": total("billed_eur"),
        "saving_eur": None if alone is None else alone - bill,
        "saving_percent": None if alone is None else ind.saving_percent(alone, bill),
        "saving_min_eur": min(savings) if everyone else None,
        "saving_max_eur": max(savings) if everyone else None,
        "saving_gini": ind.gini(savings) if everyone else None,
        "saving_jain": ind.jain(savings) if everyone else None,
        "members_worse_off": ind.members_worse_off(savings) if everyone else None,
        "purchase_price_eur_per_kwh": purchase_price,
        "sale_price_eur_per_kwh": sale_price,
        "local_price_eur_per_kwh": ind.mean_price_eur_per_kwh(_amount(stretch, "local-sale"), local),
        "price_spread_eur_per_kwh": (
            None if purchase_price is None or sale_price is None else purchase_price - sale_price
        ),
        "rounds": stretch.rounds,
        "suspended_slots": stretch.suspended_slots,
        "estimated_slots": total("estimated_slots"),
        "missing_slots": total("missing_slots"),
    }


def _amount(stretch: _Stretch, *kinds: str) -> float:
    return float(sum((entry.amount_eur for entry in stretch.ledger if entry.kind in kinds), Decimal(0)))


def _tidy(values: Values) -> Values:
    """Nine decimals: beyond them is the noise of floating-point sums; + 0.0 turns −0.0 into 0.0."""
    return {
        name: round(value, 9) + 0.0 if isinstance(value, float) else value for name, value in values.items()
    }
