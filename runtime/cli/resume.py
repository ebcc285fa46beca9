"""``peerwatt resume``: a run that was broken off goes on from its agents' own records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.server_choice import check_server_again


def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the figures.")] = True,
    xmpp: Annotated[
        str | None,
        typer.Option(help="HOST[:PORT] of a server that you run, if that has changed."),
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option(help="Its accounts, if their passwords have changed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Go on with a run that was stopped or killed: every agent takes up its place from its own message log.

    The ledger becomes what it would have been without the interruption. A run that is finished, that is still
    running, or whose configuration was changed is refused. It goes on with the XMPP server it began with.
    """
    from runtime.cli.fleet_run import run_to_results
    from runtime.cli.runs import find_run
    from runtime.fleet.resume import check_resumable
    from runtime.rundir import RunDirectory

    directory = RunDirectory(find_run(run))
    check_resumable(directory)
    check_server_again(directory, xmpp, accounts)
    run_to_results(directory, figures=figures, as_json=as_json, resume=True)
