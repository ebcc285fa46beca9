"""What a person should know of a scenario before it runs, though nothing is wrong with it."""

from __future__ import annotations

import typer

from runtime.scenario.resolve import ResolvedScenario


def show_notices(resolved: ResolvedScenario) -> None:
    """Print notices on standard error: slots in which the grid pays more than it asks."""
    slots = sum(len(session) for session in resolved.export_above_import_slots())
    if slots:
        typer.echo(
            f"notice: in {slots} slots the feed-in tariff is above the import price: local trade is "
            "suspended there, and everybody is settled at the grid's tariffs",
            err=True,
        )
