"""``peerwatt why``: a member's slot on a page: forecast, prices, plan, meter, settlement, and the reasons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.rundir import RunDirectory


def why(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Name of the member.")],
    slot: Annotated[
        str, typer.Argument(metavar="SLOT", help="Local start of the slot, as 18:45, or its number.")
    ],
    session: Annotated[int, typer.Option("--session", help="Session, from 1 on.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Tell what a member foresaw, saw, planned, metered and was billed in one slot, and why."""
    from runtime.cli.runs import find_run
    from runtime.horizon import Horizon
    from runtime.inspection.slot_story import session_horizons, story_of
    from runtime.inspection.slot_words import story_lines
    from runtime.messagelog.summaries import escaped
    from runtime.results.explanation import slot_named
    from runtime.rundir import RunDirectory

    directory = RunDirectory(find_run(run))
    if not directory.log(member).is_file():
        known = sorted(path.stem for path in directory.logs_dir.glob("*.jsonl") if "." not in path.stem)
        raise InputError(f"MEMBER: found {member!r}, expected one of {', '.join(known) or 'none: no logs'}")
    horizons = session_horizons(directory.log(member))
    if not 1 <= session <= len(horizons):
        raise InputError(f"--session: found {session}, expected 1 to {len(horizons)}")
    horizon = Horizon.model_validate(horizons[session - 1])
    number = slot_named(slot, horizon)
    story = story_of(directory, member, session - 1, number)
    answer = _reasons(directory, member, session - 1)
    if as_json:
        reason = None if answer is None else answer["slots"][number]
        start = horizon.local(number).isoformat()
        named = {"member": member, "session": session - 1, "slot": number, "start": start}
        typer.echo(json.dumps({**named, **story, "reason": reason}, indent=1))
        return
    sentence = _sentence(answer, number)
    for line in story_lines(member, session - 1, number, horizon, story, sentence):
        typer.echo(escaped(line))


def _reasons(directory: RunDirectory, member: str, session: int) -> dict[str, Any] | None:
    """What binds the member's plan; None as long as its record is not there."""
    from runtime.fleet.query import ask_agents

    if not directory.member_record(member).is_file():
        return None
    return ask_agents("explain", "--run", str(directory.path), "--member", member, "--session", str(session))


def _sentence(answer: dict[str, Any] | None, slot: int) -> str | None:
    from runtime.results.explanation import explain_all

    return None if answer is None else " ".join(explain_all(answer, slot))
