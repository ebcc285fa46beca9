"""``peerwatt inspect``: asks the agents of a running deployment how they stand; it can ask nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runtime.inspection.live.access import InspectorAccess

CONNECT_LIMIT_S = 15.0
"""How long the server may take to come up."""


def inspect(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")
    ] = None,
    join: Annotated[
        Path | None, typer.Option(help="What --out wrote, instead of RUN, on another machine.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the file with which another machine inspects RUN, and end.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="With --out: where that machine finds the server.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="With --out: its port.")] = None,
    interval_s: Annotated[float, typer.Option(min=0.2, help="Time between two looks [s].")] = 2.0,
    limit_s: Annotated[float, typer.Option(min=0.1, help="How long answers are waited for [s].")] = 3.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a look.")] = False,
    connection: Annotated[
        Path | None, typer.Option(help="Connection file; by default the run's own.")
    ] = None,
) -> None:
    """Ask coordinator and members over XMPP how they stand: phase, round, slot, whom they wait for.

    Exit code 1 with --once if one did not answer.
    """
    from runtime.cli.meter import check_not_finished
    from runtime.cli.runs import find_run
    from runtime.errors import InputError
    from runtime.inspection.live.access import InspectorAccess
    from runtime.rundir import RunDirectory

    if (run is None) == (join is None):
        raise InputError("inspect: expected either RUN or --join FILE")
    if join is not None:
        if out or connection:
            raise InputError("--join: goes with neither --out nor --connection")
        access = InspectorAccess.load(join)
    else:
        directory = RunDirectory(find_run(run or ""))
        if out is None:
            check_not_finished(directory)
        access = InspectorAccess.of_run(directory, connection)
    if out is not None:
        access = access.model_copy(update={"host": host or access.host, "port": port or access.port})
        access.save(out)
        facts = {"file": str(out), "host": access.host, "port": access.port}
        text = f"{out}: lets its holder ask how agents stand, at {access.host}:{access.port}; keep it secret"
        typer.echo(json.dumps(facts) if as_json else text)
        return
    with contextlib.suppress(KeyboardInterrupt):
        complete = asyncio.run(_inspect(access, None if once else interval_s, limit_s, as_json=as_json))
        if not complete:
            raise typer.Exit(1)


async def _inspect(
    access: InspectorAccess, interval_s: float | None, limit_s: float, *, as_json: bool
) -> bool:
    from datetime import UTC, datetime

    from runtime.errors import FleetError
    from runtime.inspection.live.client import Inspector
    from runtime.inspection.live.words import answers_json, answers_table

    inspector = Inspector(access.account())
    connect_limit_s = max(CONNECT_LIMIT_S, limit_s)
    try:
        try:
            async with asyncio.timeout(connect_limit_s):
                await inspector.start()
        except TimeoutError as error:
            reason = inspector.last_ending or f"no answer within {connect_limit_s:g} s"
            raise FleetError(f"{access.host}:{access.port}: {reason}") from error
        clear = "\x1b[2J\x1b[H" if interval_s is not None and sys.stdout.isatty() and not as_json else ""
        while True:
            answers = await inspector.look(access.coordinators, limit_s=limit_s)
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            said = json.dumps(answers_json(at, answers)) if as_json else answers_table(answers)
            print(f"{clear}{said}", flush=True)
            if interval_s is None:
                return all(answer.status is not None for answer in answers)
            await asyncio.sleep(interval_s)
    finally:
        await inspector.stop()
