"""``peerwatt top``: a run on a terminal, while it goes on and afterwards."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Annotated

import typer

MESSAGES_ONCE = 10
"""So many of the newest messages are in a frame that is printed once."""

SEARCH_LIMIT_S = 60.0
"""Time after which the search for them ends with what was found, where there is no index."""


def top(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    filter_: Annotated[
        str, typer.Option("--filter", help="Messages to show: text, or agent=, type=, round=, slot=, …")
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON and end.")] = False,
) -> None:
    """Show members, prices, flows, rounds, messages, meters and alarms on a terminal; read-only."""
    from runtime.cli.messages import find_logs
    from runtime.errors import InputError
    from runtime.inspection.follower import RunFollower
    from runtime.inspection.history import MessageHistory
    from runtime.inspection.terminal.filter_words import filter_of
    from runtime.inspection.terminal.frame import whole_frame

    criteria = filter_of(filter_)
    logs_dir = find_logs(run, may_be_empty=True)
    follower = RunFollower(logs_dir.parent if logs_dir.name == "logs" else logs_dir, logs_dir)
    if not (once or as_json):
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError("top: found no terminal; --once prints one frame, --json the state")
        from runtime.inspection.terminal.screen import RunScreen

        RunScreen(follower, filter_).run()
        return
    while follower.look():
        pass
    if follower.problem is not None:
        raise InputError(follower.problem)
    state = follower.snapshot()
    history = MessageHistory(logs_dir)
    try:
        rows = history.page(criteria, limit=MESSAGES_ONCE, budget_s=SEARCH_LIMIT_S).rows
    finally:
        history.close()
    if as_json:
        typer.echo(json.dumps({**state, "stream": rows}))
    else:
        width = shutil.get_terminal_size().columns
        typer.echo(whole_frame(follower.directory.path.resolve().name, state, rows, width))
