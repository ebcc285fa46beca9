"""Makes consistent records of a run that never ran: a mid-market day settled in exact decimals.

Written without the software's own settlement and indicators, so that it can be held against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from runtime.bookkeeping import BillItem
from runtime.horizon import Horizon
from runtime.records import (
    Bill,
    CoordinatorRecord,
    Delivery,
    LedgerEntry,
    MemberRecord,
    MemberSessionRecord,
    Round,
    SessionRecord,
)

STEP = Decimal("1e-9")
KINDS = ("house", "office", "school", "consumer", "producer")


@dataclass(frozen=True)
class Profile:
    load: np.ndarray
    pv: np.ndarray
    charge: np.ndarray
    discharge: np.ndarray
    stored: np.ndarray
    net: np.ndarray


def make_run(
    members: int = 4,
    sessions: int = 1,
    *,
    slots: int = 144,
    slot_minutes: int = 10,
    seed: int = 1,
    setting: str = "community",
    rounds: int = 3,
    suspended: tuple[int, ...] = (),
    late: tuple[str, ...] = (),
    estimated: tuple[tuple[str, int], ...] = (),
    missing: tuple[tuple[str, int], ...] = (),
) -> tuple[CoordinatorRecord, dict[str, MemberRecord]]:
    """Records of a run; ``setting`` other than ``community`` leaves every member at the grid."""
    rng = np.random.default_rng(seed)
    kinds = [KINDS[i % len(KINDS)] for i in range(members)]
    names = [f"{kind}-{i + 1}" for i, kind in enumerate(kinds)]
    battery = {
        name: None if kind in ("consumer", "producer") or setting == "pv-only" else 5.0 + 2.0 * i
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    start = datetime(2024, 6, 21, tzinfo=ZoneInfo("Europe/Paris"))
    session_records, own_sessions = [], {name: [] for name in names}
    for session in range(sessions):
        horizon = Horizon(
            start=start + timedelta(minutes=slots * slot_minutes) * session,
            zone="Europe/Paris",
            slot_minutes=slot_minutes,
            slots=slots,
        )
        hour = np.arange(slots) * slot_minutes / 60 % 24
        profiles = {
            n: _profile(rng, k, battery[n], hour, slot_minutes / 60)
            for n, k in zip(names, kinds, strict=True)
        }
        gt = [_decimal(0.15 + 0.08 * (17 <= h < 21) + 0.03 * np.sin(h / 3), "1e-5") for h in hour]
        fit = [Decimal("0.035")] * slots
        for slot in suspended:
            fit[slot] = gt[slot] + Decimal("0.01")
        net = {n: [_decimal(v, "1e-9") for v in p.net] for n, p in profiles.items()}
        ledger: list[LedgerEntry] = []
        for slot in range(slots):
            trade = setting == "community" and slot not in suspended
            ledger += settle(session, slot, {n: net[n][slot] for n in names}, gt[slot], fit[slot], trade)
        quality = {
            n: [
                "estimated" if (n, s) in estimated else "missing" if (n, s) in missing else "metered"
                for s in range(slots)
            ]
            for n in names
        }
        held = _rounds(rng, profiles, gt, fit, rounds if setting == "community" else 0, late)
        session_records.append(
            SessionRecord(
                session=session,
                horizon=horizon,
                grid_import_price_eur_per_kwh=gt,
                grid_export_price_eur_per_kwh=fit,
                rounds=held,
                agreed_round=rounds if setting == "community" else 0,
                agreed_net_kwh={},
                agreed_import_price_eur_per_kwh=held[-1].import_price_eur_per_kwh,
                agreed_export_price_eur_per_kwh=held[-1].export_price_eur_per_kwh,
                local_price_eur_per_kwh=[
                    (gt[s] + fit[s]) / 2 if setting == "community" and s not in suspended else None
                    for s in range(slots)
                ],
                suspended_slots=list(suspended),
                deliveries=[
                    Delivery(slot=s, member=n, net_kwh=net[n][s], quality=quality[n][s])
                    for s in range(slots)
                    for n in names
                ],
                ledger=ledger,
                bills=bills(session, names, ledger),
            )
        )
        for name, p in profiles.items():
            own_sessions[name].append(
                MemberSessionRecord(
                    session=session,
                    load_kwh=p.load.tolist(),
                    pv_kwh=p.pv.tolist(),
                    battery_charge_kwh=p.charge.tolist(),
                    battery_discharge_kwh=p.discharge.tolist(),
                    stored_kwh=p.stored.tolist(),
                    net_kwh=p.net.tolist(),
                    planned_net_kwh=p.net.tolist(),
                    alone_net_kwh=p.net.tolist(),
                    quality=quality[name],
                    meter=["" if q == "missing" else f"{name}.meter@localhost" for q in quality[name]],
                    rounds_planned=rounds + 1,
                    planning_seconds=0.1,
                )
            )
    record = CoordinatorRecord(
        community="synthetic",
        setting=setting,
        mechanism="mid-market-rate" if setting == "community" else "grid-only",
        members=names,
        sessions=session_records,
    )
    own = {
        name: MemberRecord(
            member=name,
            kind=kind,
            strategy="self-consumption",
            battery_capacity_kwh=battery[name],
            sessions=own_sessions[name],
        )
        for name, kind in zip(names, kinds, strict=True)
    }
    return record, own


def save_run(run: Path, coordinator: CoordinatorRecord, members: dict[str, MemberRecord]) -> Path:
    coordinator.save(run / "records" / "coordinator.json")
    for name, record in members.items():
        record.save(run / "records" / "members" / f"{name}.json")
    return run


def settle(
    session: int, slot: int, net: dict[str, Decimal], gt: Decimal, fit: Decimal, trade: bool
) -> list[LedgerEntry]:
    """Mid-market rate: the short side trades all, the long side in proportion, the rest at the tariffs."""
    demand = {n: q for n, q in net.items() if q > 0}
    supply = {n: -q for n, q in net.items() if q < 0}
    traded = min(sum(demand.values(), Decimal(0)), sum(supply.values(), Decimal(0))) if trade else Decimal(0)
    entries = []
    for side, local, grid, price in (
        (demand, "local-purchase", "grid-import", gt),
        (supply, "local-sale", "grid-export", fit),
    ):
        left, whole = traded, sum(side.values(), Decimal(0))
        for name, energy in side.items():
            # running totals: what is left is shared over who is left, so the last one takes it exactly
            part = (
                min(energy, (left * energy / whole).quantize(STEP)) if whole > energy else min(left, energy)
            )
            part = max(part, left - (whole - energy))
            left, whole = left - part, whole - energy
            for kind, amount, at in ((local, part, (gt + fit) / 2), (grid, energy - part, price)):
                if amount:
                    parties = f"member:{name}", "community" if kind == local else "grid"
                    if side is supply:
                        parties = parties[1], parties[0]
                    entries.append(
                        LedgerEntry(
                            session=session,
                            slot=slot,
                            member=name,
                            kind=kind,
                            energy_kwh=amount,
                            price_eur_per_kwh=at,
                            amount_eur=amount * at,
                            debit=parties[0],
                            credit=parties[1],
                        )
                    )
    return entries


def bills(session: int, names: list[str], ledger: list[LedgerEntry]) -> list[Bill]:
    exact, energy = {}, {}
    for name in names:
        own = [e for e in ledger if e.member == name]
        exact[name] = sum((e.amount_eur if "member" in e.debit else -e.amount_eur for e in own), Decimal(0))
        energy[name] = {
            kind: sum((e.energy_kwh for e in own if e.kind == kind), Decimal(0))
            for kind in ("local-purchase", "local-sale", "grid-import", "grid-export")
        }
    cents = {n: (v * 100).to_integral_value(ROUND_FLOOR) for n, v in exact.items()}
    spare = int((sum(exact.values(), Decimal(0)) * 100).to_integral_value()) - int(sum(cents.values()))
    for name in sorted(names, key=lambda n: cents[n] - exact[n] * 100)[:spare]:
        cents[name] += 1
    return [
        Bill(
            session=session,
            member=n,
            local_purchase_kwh=energy[n]["local-purchase"],
            local_sale_kwh=energy[n]["local-sale"],
            grid_import_kwh=energy[n]["grid-import"],
            grid_export_kwh=energy[n]["grid-export"],
            exact_eur=exact[n],
            amount_eur=cents[n] / 100,
            items=_items(n, [e for e in ledger if e.member == n], energy[n], cents[n]),
        )
        for n in names
    ]


def _items(name: str, own: list[LedgerEntry], energy: dict[str, Decimal], cents: Decimal) -> list[BillItem]:
    """Lines in cents: each rounded down, what is missing to the bill given to the lines cut most."""
    paid = {
        kind: sum(
            (e.amount_eur if "member" in e.debit else -e.amount_eur for e in own if e.kind == kind),
            Decimal(0),
        )
        for kind in energy
        if any(e.kind == kind for e in own)
    }
    lines = {kind: (value * 100).to_integral_value(ROUND_FLOOR) for kind, value in paid.items()}
    for kind in sorted(paid, key=lambda k: lines[k] - paid[k] * 100)[: int(cents - sum(lines.values()))]:
        lines[kind] += 1
    return [
        BillItem(kind=kind, energy_kwh=energy[kind], exact_eur=paid[kind], amount_eur=lines[kind] / 100)
        for kind in paid
    ]


def _profile(
    rng: np.random.Generator, kind: str, capacity: float | None, hour: np.ndarray, dt: float
) -> Profile:
    size = {"house": 0.6, "office": 6.0, "school": 8.0, "consumer": 0.5, "producer": 0.0}[kind]
    morning, evening = np.exp(-(((hour - 8) / 1.5) ** 2)), np.exp(-(((hour - 19) / 2) ** 2))
    shape = (hour > 7) * (hour < 18) if kind in ("office", "school") else morning + 1.5 * evening
    load = size * (0.3 + shape) * rng.uniform(0.8, 1.2, hour.size) * dt
    peak = {"house": 3.0, "office": 8.0, "school": 12.0, "consumer": 0.0, "producer": 10.0}[kind]
    pv = (
        peak
        * np.clip(np.sin((hour - 5.5) / 16 * np.pi), 0, None) ** 1.5
        * rng.uniform(0.85, 1, hour.size)
        * dt
    )
    charge, discharge, stored = np.zeros(hour.size), np.zeros(hour.size), np.zeros(hour.size)
    level = 0.5 * (capacity or 0.0)
    for t, surplus in enumerate(pv - load):
        if capacity:
            charge[t] = min(max(surplus, 0), 0.8 * capacity - level, 0.5 * capacity * dt)
            discharge[t] = min(max(-surplus, 0), level - 0.2 * capacity, 0.5 * capacity * dt)
            level += charge[t] - discharge[t]
            stored[t] = level
    net = load - pv + charge - discharge
    return Profile(load, pv, charge, discharge, stored if capacity else np.zeros(0), net)


def _rounds(
    rng: np.random.Generator,
    profiles: dict[str, Profile],
    gt: list[Decimal],
    fit: list[Decimal],
    rounds: int,
    late: tuple[str, ...],
) -> list[Round]:
    made = []
    for number in range(rounds + 1):
        net = {n: p.net * (1 + 0.1 * (rounds - number) * rng.uniform(-1, 1)) for n, p in profiles.items()}
        pull = number / (rounds + 1) / 2
        taken, given = np.array([float(p) for p in gt]), np.array([float(p) for p in fit])
        cost = np.maximum(sum(net.values()), 0) @ taken - np.maximum(-sum(net.values()), 0) @ given
        made.append(
            Round(
                number=number,
                import_price_eur_per_kwh=(taken - pull * (taken - given)).tolist(),
                export_price_eur_per_kwh=(given + pull * (taken - given)).tolist(),
                net_kwh={n: v.tolist() for n, v in net.items()},
                late=list(late) if number else [],
                community_cost_eur=float(cost),
            )
        )
    return made


def _decimal(value: float, step: str) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(step))
