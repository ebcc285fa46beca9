"""What ``run`` and ``resume`` have in common: the fleet of a prepared run, then its results."""

from __future__ import annotations

import json
import threading
from typing import Any

import typer

from runtime.rundir import RunDirectory
from runtime.wording import counted


def run_to_results(directory: RunDirectory, *, figures: bool, as_json: bool, resume: bool = False) -> None:
    """Run a fleet to its end, write the results, and print the summary.

    Args:
        directory: the run, with its configuration.
        figures: draw the figures too.
        as_json: print the summary as JSON, and nothing else.
        resume: go on from what the agents' logs hold.
    """
    from runtime.cli.progress import FleetProgress
    from runtime.fleet.supervisor import Fleet
    from runtime.results import write_results
    from runtime.results.indicators import compute_indicators
    from runtime.results.summary import print_summary

    with FleetProgress(quiet=as_json) as progress:

        def on_news(agent: str, phase: str, detail: dict[str, Any]) -> None:
            progress.show(agent, phase, detail)
            if phase == "agreement" and figures:
                threading.Thread(target=_load_plotting, daemon=True).start()

        Fleet(directory, on_news).run(resume=resume)
        progress.show("fleet", "results", {})
        compute_indicators(directory.path)
        result = write_results(directory.path, figures=figures)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    print_summary(result)
    path = directory.path
    bills = "bills.html first, " if "bills.html" in result["files"] else ""
    drawn = "pictures in figures/" if figures else "no pictures"
    typer.echo(f"\nResults: {counted(len(result['files']), 'file')} in {path}; {bills}{drawn}")
    typer.echo(f"Look on: peerwatt dashboard {path}, peerwatt messages {path}, peerwatt verify {path}")


def _load_plotting() -> None:
    """Load what the figures need while the market still runs."""
    import matplotlib.figure  # noqa: F401
