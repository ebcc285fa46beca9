"""A member's plan and the front of its plans as CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from runtime.files import write_text_atomically
from runtime.planned import PlanAnswer, PlannedDay

FRONT_COLUMNS = (
    "plan",
    "chosen",
    "cost_eur",
    "grid_import_kwh",
    "self_sufficiency",
    "peak_import_kw",
    "wear_eur",
)
PLAN_COLUMNS = (
    "slot",
    "start",
    "import_price_eur_per_kwh",
    "export_price_eur_per_kwh",
    "load_kwh",
    "pv_kwh",
    "flexible_kwh",
    "grid_import_kwh",
    "grid_export_kwh",
    "battery_charge_kwh",
    "battery_discharge_kwh",
    "stored_energy_kwh",
    "soc",
)


def write_plan_tables(folder: Path, answer: PlanAnswer) -> list[Path]:
    """Write ``plan.csv`` where one plan is to be shown, and ``front.csv`` where there are several.

    Args:
        folder: where to; made if missing.
        answer: what was planned.

    Returns:
        The files written.
    """
    files = []
    if answer.shown is not None:
        files.append(_write(folder / "plan.csv", PLAN_COLUMNS, _plan_rows(answer, answer.shown)))
    if len(answer.plans) > 1:
        rows: list[list[object]] = [
            [
                number,
                int(number - 1 == answer.chosen),
                plan.cost_eur,
                plan.grid_import_kwh,
                answer.self_sufficiency(plan),
                plan.peak_import_kw,
                plan.wear_eur,
            ]
            for number, plan in enumerate(answer.plans, start=1)
        ]
        files.append(_write(folder / "front.csv", FRONT_COLUMNS, rows))
    return files


def _plan_rows(answer: PlanAnswer, plan: PlannedDay) -> list[list[object]]:
    capacity = answer.battery_capacity_kwh
    return [
        [
            slot,
            answer.horizon.local(slot).isoformat(),
            answer.import_price_eur_per_kwh[slot],
            answer.export_price_eur_per_kwh[slot],
            answer.load_kwh[slot],
            answer.pv_kwh[slot],
            sum(drawn[slot] for drawn in plan.flexible_kwh.values()),
            max(net_kwh, 0.0),
            max(-net_kwh, 0.0),
            max(-plan.battery_kwh[slot], 0.0),
            max(plan.battery_kwh[slot], 0.0),
            plan.stored_energy_kwh[slot],
            plan.stored_energy_kwh[slot] / capacity if capacity else None,
        ]
        for slot, net_kwh in enumerate(plan.net_kwh)
    ]


def _write(path: Path, columns: tuple[str, ...], rows: list[list[object]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text_atomically(path, text.getvalue())
    return path
