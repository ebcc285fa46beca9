"""``peerwatt forecast``: a member's forecast of load and production, and its errors on past days."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from runtime.errors import InputError
from runtime.horizon import Horizon


def forecast(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ],
    member: Annotated[str, typer.Option("--member", help="Name of the member.")],
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="similar-day or boosting; without it the scenario's, or similar-day where that is perfect.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with the data that the scenario reads.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the value of each slot.")] = False,
) -> None:
    """Forecast a member's load and production, and compare with past days and with the scenario's."""
    from runtime.configuration import ForecastMethod, MetersConfig
    from runtime.fleet.query import ask_agents
    from runtime.scenario.resolve import resolve

    if method not in (None, *get_args(ForecastMethod)):
        raise InputError(f"--method: found {method!r}, expected similar-day or boosting")
    resolved = resolve(scenario, data, forecast=(member, cast(ForecastMethod | None, method)))
    if member not in resolved.members:
        raise InputError(f"--member: found {member!r}, expected one of {', '.join(resolved.members)}")
    with tempfile.TemporaryDirectory(prefix="peerwatt-forecast-") as folder:
        config, meters = Path(folder) / "member.json", Path(folder) / "meters.json"
        resolved.member_config(member).save(config)
        MetersConfig(meters=[m for m in resolved.meters_config().meters if m.member == member]).save(meters)
        found = ask_agents("forecast", "--config", str(config), "--meters", str(meters))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("day", "series"):
        table.add_column(name, no_wrap=True)
    for name in ("kWh", "metered", "MAE", "past", "bias", "RMSE", "gaps"):
        table.add_column(name, justify="right", no_wrap=True)
    days = 0
    for session in found["sessions"]:
        horizon = Horizon.model_validate(session["horizon"])
        for name in ("load", "pv"):
            if (series := session.get(name)) is None:
                continue
            past = series["past"]
            days = max(days, past["days"])
            table.add_row(
                f"{horizon.local(0):%Y-%m-%d}",
                name,
                f"{sum(series['energy_kwh']):.4g}",
                f"{sum(series['metered_kwh']):.4g}",
                _percent(series["this_session"]["mae_percent_of_mean"]),
                _percent(past["mae_percent_of_mean"]),
                _percent(past["bias_percent_of_mean"]),
                _percent(past["rmse_percent_of_mean"]),
                str(series["unmetered_slots"]),
            )
    console = Console(highlight=False)
    console.print(f"{found['member']}: {found['method']}", markup=False)
    console.print(table)
    console.print(
        f"MAE: of this session; past (MAE), bias, RMSE: of up to {days} days before it; all in % of the mean "
        "metered energy of a slot. Gaps: slots of the history without a value.",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
