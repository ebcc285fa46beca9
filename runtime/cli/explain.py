"""``peerwatt explain``: why a member's agreed plan is as it is, slot by slot, in plain words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.rundir import RunDirectory


def explain(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A finished run's folder, or its name under ./runs.")
    ],
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Name of the member.")],
    slot: Annotated[
        str | None,
        typer.Argument(
            metavar="SLOT", help="Local start of a slot, as 18:45, or its number; without it all."
        ),
    ] = None,
    session: Annotated[int, typer.Option("--session", help="Session, from 1 on.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reasons as JSON.")] = False,
) -> None:
    """Say for each slot what binds a member's agreed plan: prices, the stored energy's value, limits."""
    from runtime.cli.runs import find_run
    from runtime.fleet.query import ask_agents
    from runtime.horizon import Horizon
    from runtime.results.explanation import explain_all, slot_named
    from runtime.rundir import RunDirectory

    directory = find_run(run)
    if session < 1:
        raise InputError(f"--session: found {session}, expected 1 or more")
    check_recorded(RunDirectory(directory), member)
    answer = ask_agents("explain", "--run", str(directory), "--member", member, "--session", str(session - 1))
    wanted = None if slot is None else slot_named(slot, Horizon.model_validate(answer["horizon"]))
    if as_json:
        slots = answer["slots"] if wanted is None else [answer["slots"][wanted]]
        typer.echo(json.dumps({**answer, "slots": slots}, indent=1))
        return
    for line in explain_all(answer, wanted):
        typer.echo(line)


def check_recorded(directory: RunDirectory, member: str) -> None:
    """Refuse what has no record of a member, and say why it has none.

    Raises:
        InputError: no run, no such member, not run yet, not ended yet, or ended without the member's record.
    """
    run, config = directory.path, directory.member_config(member)
    known = sorted(path.stem for path in config.parent.glob("*.json"))
    if not known:
        raise InputError(f"{run}: found no configuration of members, expected the directory of a run")
    if member not in known:
        raise InputError(f"MEMBER: found {member!r}, expected one of {', '.join(known)}")
    if directory.member_record(member).is_file():
        return
    if directory.coordinator_record.is_file():
        raise InputError(f"{run}: the run ended without a record of {member}, so its plan is not known")
    if directory.log(member).is_file():
        raise InputError(f"{run}: the run has not ended yet; {member} writes its record when it does")
    raise InputError(f"{run}: prepared, but not run yet: there is no plan of {member} to explain")
