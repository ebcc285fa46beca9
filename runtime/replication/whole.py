"""Puts the replication together from what was worked out and from the fleets' runs."""

from __future__ import annotations

from pathlib import Path

from runtime.replication.accounting import CORRECTED, PUBLISHED
from runtime.replication.fleet_runs import mechanism_of, run_figures
from runtime.replication.paper_case import TABLE_III
from runtime.replication.replicate import WorkedOut
from runtime.replication.table import Replication, TableRow


def whole(worked_out: WorkedOut, runs: Path) -> Replication:
    """All figures of the replication.

    Args:
        worked_out: how the batteries were run.
        runs: folder of the fleets' runs, each named after its setting.

    Raises:
        InputError: a run did not come to an end.
    """
    mechanism = mechanism_of(runs / "community")
    rows = [
        TableRow(
            key=scenario,
            title=TABLE_III[scenario].title,
            published_index_percent=TABLE_III[scenario].index_percent,
            published_cost_eur=TABLE_III[scenario].cost_eur,
            replicated=worked_out.figures(scenario, PUBLISHED),
            corrected=run_figures(runs / scenario),
            run=scenario,
        )
        for scenario in ("pv-only", "pv-battery-rule")
    ]
    third = TABLE_III["pv-battery-optimised"]
    rows += [
        TableRow(
            key="genetic",
            title=third.title,
            published_index_percent=third.index_percent,
            published_cost_eur=third.cost_eur,
            replicated=worked_out.genetic_figures(PUBLISHED),
            corrected=worked_out.genetic_figures(CORRECTED),
        ),
        TableRow(
            key="pv-battery-optimised",
            title="the same, optimised by Peerwatt",
            corrected=run_figures(runs / "pv-battery-optimised"),
            run="pv-battery-optimised",
        ),
        TableRow(
            key="community",
            title=f"community market ({mechanism})",
            corrected=run_figures(runs / "community"),
            run="community",
        ),
    ]
    return Replication(
        members=worked_out.case.members,
        generations=worked_out.generations,
        mechanism=mechanism,
        rows=rows,
        increments=worked_out.increments(),
        as_programmed=worked_out.method_costs(PUBLISHED),
        as_corrected=worked_out.method_costs(CORRECTED),
    )
