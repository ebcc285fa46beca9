"""``peerwatt meter``: attaches meters to members of a running fleet, detaches, lists and tries them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from runtime.cli.meter_join import write_join
from runtime.cli.meter_process import (
    AttachedMeter,
    MeterFiles,
    account_parts,
    left,
    meter_files,
    process_of,
    start_meter,
    state_of,
    step_named,
    stop_meter,
)
from runtime.cli.meter_schema import print_schema
from runtime.cli.meter_trial import try_source
from runtime.cli.runs import find_run_with_meters
from runtime.configuration import SIMULATED_SOURCE, MeterConfig, MetersConfig
from runtime.errors import FleetError, InputError
from runtime.messaging.connection import Connection
from runtime.rundir import METERS_PER_MEMBER, RunDirectory

CONNECT_LIMIT_S = 5.0

app = typer.Typer(
    name="meter", help="Attach meters to a running fleet, and detach them.", no_args_is_help=True
)

app.command(name="test")(try_source)
app.command(name="schema")(print_schema)
app.command(name="join")(write_join)

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")]
Member = Annotated[str, typer.Argument(metavar="MEMBER", help="Name of the member.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def attach(
    run: Run,
    member: Member,
    source: Annotated[
        str,
        typer.Option(
            help="Where readings come from, as a URL: mqtt://HOST/TOPIC?path=ENERGY.Total&unit=kWh, "
            "http://HOST?preset=shelly-gen2-em, modbus-tcp://HOST/UNIT, p1:/dev/ttyUSB0, sml:…, tic:…, "
            "simulated:?noise=0.05&seed=3, csv:FILE?load=COLUMN&unit=kWh&time=COLUMN."
        ),
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(help="load, pv, net or battery; may be repeated. By default all that the source has."),
    ] = None,
    connection: Annotated[
        Path | None, typer.Option(help="Connection file; by default the run's own.")
    ] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C, then detach.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have MEMBER metered by another source from its next slot on."""
    directory = find_run_with_meters(run)
    meter = meter_config(directory, member)
    for name in role or ():
        if name not in meter.measurable:
            has = " and ".join(meter.measurable) or "nothing"
            raise InputError(f"--role: found {name!r}, but {member} has {has} to be metered")
    files = _free_place(directory, run, member, role or [])
    check_running(directory, connection)
    process, attached = start_meter(files, source, role or [], connection)
    where = _from_where(attached.session, attached.slot)
    _print(
        as_json, _facts(attached), f"{member}: {', '.join(attached.roles)} now metered by {source} {where}"
    )
    if foreground:
        _stay(process, attached, files, as_json)


def _free_place(directory: RunDirectory, run: str, member: str, roles: list[str]) -> MeterFiles:
    """The first of the member's accounts that no attached meter has.

    Raises:
        InputError: another attached meter reads one of the roles, or may do so, or all accounts are taken.
    """
    free = []
    for files in meter_files(directory.path, member):
        attached = files.load()
        if attached is None or process_of(attached) is None:
            free.append(files)
        elif not roles or {*roles} & {*attached.roles}:
            raise InputError(
                f"{member}: has {attached.source} attached for {', '.join(attached.roles)} (process "
                f"{attached.pid}); name other roles with --role, or detach it first: "
                f"peerwatt meter detach {run} {member}"
            )
    if not free:
        raise InputError(f"{member}: has {METERS_PER_MEMBER - 1} meters attached, which is as many as can be")
    return free[0]


@app.command()
def detach(
    run: Run,
    member: Member,
    role: Annotated[
        list[str] | None, typer.Option(help="Only the meters that read this; all of them by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End MEMBER's attached meters: its own meter counts again."""
    directory = find_run_with_meters(run)
    meter_config(directory, member)
    found = [
        (files, attached)
        for files in meter_files(directory.path, member)
        if (attached := files.load()) is not None and (not role or {*role} & {*attached.roles})
    ]
    if not found:
        what = f" for {' or '.join(role)}" if role else ""
        raise InputError(f"{member}: no meter is attached to it{what}")
    ended = [files for files, attached in found if state_of(attached, files) == "ended"]
    for files in ended:
        files.state.unlink(missing_ok=True)
    if len(ended) == len(found):
        raise InputError(f"{member}: no meter is attached to it any more: the run is over")
    for files, each in found:
        attached = each
        if files in ended:
            continue
        if state_of(attached, files) == "gone":
            # Its process was killed, and the prosumer still waits for its readings: who takes its account
            # can also give it up.
            check_running(directory, attached.connection)
            _, attached = start_meter(files, SIMULATED_SOURCE, attached.roles, attached.connection)
        _print_detached(member, stop_meter(attached, files), as_json)


@app.command(name="list")
def list_meters(run: Run, as_json: AsJson = False) -> None:
    """List the meters attached to a run's members."""
    directory = find_run_with_meters(run)
    rows = []
    for path in sorted((directory.path / "meters").glob("*.json")):
        files = MeterFiles(directory.path, *account_parts(path.stem))
        meter = files.load()
        if meter is not None:
            rows.append({**_facts(meter), "state": state_of(meter, files)})
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        typer.echo("no meter is attached")
    for row in rows:
        where = _from_where(row["session"], row["slot"])
        typer.echo(f"{row['member']}: {', '.join(row['roles'])} by {row['source']} {where}: {row['state']}")


def meter_config(directory: RunDirectory, member: str) -> MeterConfig:
    """What the run knows of a member's meter.

    Raises:
        InputError: it has no such member.
    """
    meters = MetersConfig.load(directory.meters_config).meters
    for meter in meters:
        if meter.member == member:
            return meter
    names = ", ".join(meter.member for meter in meters) or "none"
    raise InputError(f"{directory.path.name}: found no member {member!r}, expected one of {names}")


def check_not_finished(directory: RunDirectory) -> None:
    """See that a run's agents may be there to talk to.

    Raises:
        InputError: they have gone, for the run has finished.
    """
    if directory.coordinator_record.exists():
        raise InputError(f"{directory.path.name}: the run has finished, expected one that is running")


def check_running(directory: RunDirectory, connection_path: Path | None) -> None:
    """See that a fleet may be there to attach to.

    Raises:
        InputError: the run has finished or has not begun, or nothing listens where its server should.
    """
    check_not_finished(directory)
    path = connection_path or directory.connection_json
    if connection_path is None and not path.exists():
        raise InputError(f"{directory.path.name}: is not running: there is no {path}")
    connection = Connection.load(path)
    try:
        socket.create_connection((connection.host, connection.port), CONNECT_LIMIT_S).close()
    except OSError as error:
        raise InputError(
            f"{directory.path.name}: is not running: no server at {connection.host}:{connection.port} "
            f"({error.strerror or error}), named in {path}"
        ) from error


def _stay(
    process: subprocess.Popen[bytes], attached: AttachedMeter, files: MeterFiles, as_json: bool
) -> None:
    """Wait for the meter's end; Ctrl-C and SIGTERM detach it."""

    def forward(number: int, frame: FrameType | None) -> None:
        process.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    start = files.output_size()
    code = process.wait()
    step = left(files, start)
    if code:
        failed = step_named(files.steps(start), "failed")
        reason = failed["reason"] if failed else files.last_words(start)
        raise FleetError(f"{attached.member}: the meter left with exit code {code}: {reason}")
    _print_detached(attached.member, step, as_json)


def _print_detached(member: str, step: dict[str, Any] | None, as_json: bool) -> None:
    if step is None:
        raise FleetError(
            f"{member}: the meter has left, but its prosumer did not acknowledge it: detach again"
        )
    session, slot = step.get("session"), step.get("slot")
    text = f"{member}: detached; its own meter counts again {_from_where(session, slot)}"
    if step["phase"] == "ended":
        text = f"{member}: detached; the run is over"
    _print(as_json, {"member": member, "session": session, "slot": slot, "state": "ended"}, text)


def _facts(meter: AttachedMeter) -> dict[str, Any]:
    return meter.model_dump(mode="json", exclude={"process_started_s", "connection"})


def _from_where(session: int | None, slot: int | None) -> str:
    return "after the last slot" if session is None else f"from session {session + 1} slot {slot}"


def _print(as_json: bool, facts: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(facts) if as_json else text)
