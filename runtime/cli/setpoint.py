"""``peerwatt setpoint``: steers batteries of a running fleet, and tries where set-points would go."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from runtime.cli.meter import check_running, meter_config
from runtime.cli.meter_process import process_of, state_of, stop_meter
from runtime.cli.runs import find_run_with_meters
from runtime.cli.setpoint_process import AttachedController, ControllerFiles, start_controller
from runtime.cli.told_events import told_events
from runtime.configuration import MeterConfig, MetersConfig
from runtime.errors import FleetError, InputError
from runtime.setpoints import SetpointTable

app = typer.Typer(
    name="setpoint", help="Steer batteries: MQTT, or SunSpec storage over Modbus.", no_args_is_help=True
)

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")]
Member = Annotated[str, typer.Argument(metavar="MEMBER", help="Name of the member.")]
Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="mqtt://HOST/TOPIC, mqtts://…, or modbus://HOST/UNIT.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(name="test")
def try_target(
    target: Target,
    power_kw: Annotated[float, typer.Option(help="Power to be tried: discharge > 0, charge < 0 [kW].")],
    seconds: Annotated[
        float, typer.Option(min=0.0, max=3600.0, help="How long it is held before control is given back [s].")
    ] = 10.0,
    write: Annotated[
        bool, typer.Option("--write", help="Really write it; else only what would be written is told.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a power would be for a device; with --write, write it, hold it, and give control back."""
    command = [sys.executable, "-m", "agents", "steer", "--target", target, "--power-kw", str(power_kw)]
    command += ["--seconds", str(seconds), *(["--write"] if write else [])]
    for event in told_events(command, "the target"):
        typer.echo(json.dumps(event) if as_json else _in_words(event))


def _in_words(event: dict[str, Any]) -> str:
    match event["event"]:
        case "dry-run":
            return f"would be written for {event['power_kw']:g} kW: {event['wrote']}"
        case "written":
            return f"written for {event['power_kw']:g} kW: {event['wrote']}"
        case _:
            return f"control given back: {event['wrote']}"


@app.command()
def attach(
    run: Run,
    member: Member,
    target: Target,
    max_charge_kw: Annotated[
        float | None, typer.Option(min=0.0, help="Greatest power drawn that is ever written [kW].")
    ] = None,
    max_discharge_kw: Annotated[
        float | None, typer.Option(min=0.0, help="Greatest power delivered that is ever written [kW].")
    ] = None,
    ramp_kw_per_min: Annotated[
        float | None, typer.Option(help="Greatest change of what is written [kW/min].")
    ] = None,
    min_interval_s: Annotated[
        float, typer.Option(min=0.0, help="The device is written at most this often [s].")
    ] = 5.0,
    margin_s: Annotated[
        float, typer.Option(min=0.0, help="How long after a slot the next set-point may come [s].")
    ] = 60.0,
    write: Annotated[
        bool, typer.Option("--write", help="Really write set-points; else they are only told.")
    ] = False,
    connection: Annotated[
        Path | None, typer.Option(help="Connection file; by default the run's own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have MEMBER's battery told what its plan wants of it, from this slot on."""
    directory = find_run_with_meters(run)
    meter = meter_config(directory, member)
    setpoint = _setpoint(
        meter,
        target=target,
        max_charge_kw=max_charge_kw,
        max_discharge_kw=max_discharge_kw,
        ramp_kw_per_min=ramp_kw_per_min,
        min_interval_s=min_interval_s,
        margin_s=margin_s,
        dry_run=not write,
    )
    files = ControllerFiles(directory.path, member)
    attached = files.load()
    if attached is not None and process_of(attached) is not None:
        raise InputError(
            f"{member}: is steered by {attached.source} (process {attached.pid}); detach that first: "
            f"peerwatt setpoint detach {run} {member}"
        )
    check_running(directory, connection)
    _, controller = start_controller(files, setpoint, connection)
    how = "written to" if write else "told, and not written to,"
    _print(as_json, _facts(controller), f"{member}: set-points are now {how} {target}")


def _setpoint(meter: MeterConfig, **given: Any) -> SetpointTable:  # noqa: ANN401 - fields of the table
    """Check what is asked for.

    Raises:
        InputError: no battery, a controller of the run's own, a limit missing or a value out of range.
    """
    member = meter.member
    if not meter.has_battery:
        raise InputError(f"{member}: has no battery to be steered")
    if meter.setpoint is not None:
        raise InputError(
            f"{member}: is steered by the run itself, as the scenario says: {meter.setpoint.target}"
        )
    for name in ("max_charge_kw", "max_discharge_kw"):
        if given[name] is None:
            raise InputError(f"--{name.replace('_', '-')}: found none, expected the greatest power [kW]")
    try:
        return SetpointTable(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise InputError(f"--{option}: found {first['input']!r}: {first['msg']}") from error


@app.command()
def detach(run: Run, member: Member, as_json: AsJson = False) -> None:
    """End the steering of MEMBER's battery: the device has control again."""
    directory = find_run_with_meters(run)
    meter_config(directory, member)
    files = ControllerFiles(directory.path, member)
    attached = files.load()
    if attached is None:
        raise InputError(f"{member}: no controller is attached to it")
    state = state_of(attached, files)
    if state == "attached":
        if stop_meter(attached, files) is None:
            raise FleetError(f"{member}: the controller has left, but its prosumer did not acknowledge it")
    else:
        files.state.unlink(missing_ok=True)
    gone = " (its process was gone already: see to the device)" if state == "gone" else ""
    _print(as_json, {"member": member, "state": "ended"}, f"{member}: no longer steered{gone}")


@app.command(name="list")
def list_controllers(run: Run, as_json: AsJson = False) -> None:
    """List the batteries of a run that are steered, and where their set-points go."""
    directory = find_run_with_meters(run)
    rows: list[dict[str, Any]] = []
    for meter in MetersConfig.load(directory.meters_config).meters:
        if meter.setpoint is not None:
            rows.append({"member": meter.member, **meter.setpoint.model_dump(), "state": "of the run"})
        files = ControllerFiles(directory.path, meter.member)
        attached = files.load()
        if attached is not None:
            rows.append({**_facts(attached), "state": state_of(attached, files)})
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        typer.echo("no battery is steered")
    for row in rows:
        dry = "dry run" if row["dry_run"] else "written"
        typer.echo(f"{row['member']}: {row['target']} ({dry}): {row['state']}")


def _facts(controller: AttachedController) -> dict[str, Any]:
    return {
        "member": controller.member,
        "pid": controller.pid,
        "since": controller.since.isoformat(),
        **controller.setpoint.model_dump(),
    }


def _print(as_json: bool, facts: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(facts) if as_json else text)
