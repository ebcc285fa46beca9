"""The corrected case, run for real: one fleet a setting, and what it came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from runtime.configuration import Setting
from runtime.replication.table import Figures
from runtime.results.reading import read_indicators, read_records
from runtime.rundir import RunDirectory
from runtime.scenario.resolved import ResolvedScenario
from runtime.scenario.write import write_configs

RUN_SETTINGS: tuple[Setting, ...] = ("pv-only", "pv-battery-rule", "pv-battery-optimised", "community")

OnNews = Callable[[str, str, dict[str, Any]], None]


def run_fleet(resolved: ResolvedScenario, setting: Setting, path: Path, on_news: OnNews) -> None:
    """Run the case in one setting and write all results of the run.

    Args:
        resolved: the scenario.
        setting: how members live.
        path: the run's directory.
        on_news: told each step of the fleet.

    Raises:
        FleetError: a process died for good.
        PeerwattError: the results could not be worked out.
    """
    from runtime.fleet.supervisor import Fleet
    from runtime.results import write_results
    from runtime.results.indicators import compute_indicators

    directory = RunDirectory(path)
    write_configs(replace(resolved, setting=setting), directory)
    Fleet(directory, on_news).run()
    on_news("fleet", "results", {})
    compute_indicators(path)
    write_results(path)


def run_figures(path: Path) -> Figures:
    """Self-sufficiency (eq. 11) and cost (eq. 1) of a finished run.

    A community's import is what crosses its boundary; members who live alone import at their own meters.

    Args:
        path: the run's directory.

    Raises:
        InputError: the run did not come to an end.
    """
    coordinator, _ = read_records(path)
    found = cast(dict[str, float], read_indicators(path)["run"]["community"])
    at = "boundary_" if coordinator.setting == "community" else ""
    return Figures(
        self_sufficiency_percent=100.0 * found[f"{at}self_sufficiency"],
        cost_eur=found["bill_eur"],
        import_kwh=found[f"{at}import_kwh"],
        export_kwh=found[f"{at}export_kwh"],
    )


def mechanism_of(path: Path) -> str:
    """Name of the market mechanism of a finished run."""
    return read_records(path)[0].mechanism
