"""``peerwatt replay``: an agent's state at one message, rebuilt from its log."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from runtime.errors import InputError


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    until: Annotated[
        str | None,
        typer.Option(
            metavar="MESSAGE", help="ID of a message that the agent sent, or SENDER:ID of one that came."
        ),
    ] = None,
    agent: Annotated[str, typer.Option(help="The coordinator, or a member.")] = "coordinator",
    record: Annotated[int | None, typer.Option(min=0, help="Number of a record in its log instead.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON.")] = False,
) -> None:
    """Tell what an agent knew and waited for at one message: its machine is fed its log up to there.

    Without --until it is the state at the end of the log, also of a run that is under way. Ids are those of
    `peerwatt messages RUN --json`.
    """
    from runtime.cli.runs import find_run
    from runtime.fleet.query import ask
    from runtime.inspection.moment_words import moment_lines
    from runtime.messagelog.summaries import escaped
    from runtime.rundir import COORDINATORS, RunDirectory

    if until is not None and record is not None:
        raise InputError("--until, --record: found both, expected one of them")
    directory = RunDirectory(find_run(run))
    options = ["--run", str(directory.path)]
    options += [] if until is None else [f"--until={until}"]
    options += [] if record is None else ["--record", str(record)]
    told: dict[str, Any]
    if agent in COORDINATORS:
        told = ask("coordinator", "replay", *options, "--account", agent)
    else:
        if not directory.member_config(agent).is_file():
            known = sorted(path.stem for path in directory.member_config("any").parent.glob("*.json"))
            raise InputError(f"--agent: found {agent!r}, expected coordinator or one of {', '.join(known)}")
        told = ask("agents", "replay", *options, "--member", agent)
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    for line in moment_lines(told):
        typer.echo(escaped(line))
