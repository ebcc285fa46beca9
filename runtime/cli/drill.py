"""``peerwatt drill``: what a community's market makes of faults, done on purpose."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from runtime.cli.server_choice import NODES_HELP, OWN_XMPP_HELP, check_nodes, own_server_kind
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.drills.base import Fault
    from runtime.drills.moments import MarketPhase


def drill(
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENARIO",
            help="A scenario file, or the name of a built-in one; without it, four members for a morning.",
        ),
    ] = None,
    faults: Annotated[
        str, typer.Option(help="Which, parted by commas, or all; `--list` tells what they do.")
    ] = "all",
    phases: Annotated[
        str, typer.Option(help="When: negotiating, operating, or both parted by a comma.")
    ] = "negotiating,operating",
    seed: Annotated[int, typer.Option(help="Draws the moments and the members that are hit.")] = 0,
    deadline_s: Annotated[
        float,
        typer.Option(min=0.1, help="How long a member that a fault silences is waited for, at most [s]."),
    ] = 2.0,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder for the runs, a new one; without it they are removed if all went well."),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list", help="Tell what each fault does, and leave.")
    ] = False,
    xmpp: Annotated[str, typer.Option(help=OWN_XMPP_HELP)] = "embedded",
    xmpp_nodes: Annotated[int, typer.Option(help=NODES_HELP)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Run a community undisturbed, then once for each fault, and compare rounds, cost and ledger.

    Each fault strikes at a seeded moment of a phase of the market. Where nothing is really lost the ledger
    has to be the undisturbed one, to the byte; where a member stays away it may differ as the stated rules
    say, and the table says where. Exit code 1 if something was lost or done twice.
    """
    from runtime.drills.drill import Drill
    from runtime.drills.faults import ALL, FAULTS, chosen_faults
    from runtime.drills.table import drill_lines
    from runtime.fleet.servers import ServerChoice
    from runtime.scenario.resolve import resolve

    if list_faults:
        for each in FAULTS.values():
            typer.echo(f"{each.name:<18}{each.does}")
        return
    chosen, when = chosen_faults(faults), _chosen_phases(phases)
    check_nodes(xmpp, xmpp_nodes)
    server = ServerChoice(kind=own_server_kind(xmpp), nodes=xmpp_nodes)
    builtin = Path(__file__).parent.parent / "drills" / "community.toml"
    resolved = resolve(builtin if scenario is None else scenario)
    impossible: dict[str, list[type[Fault]]] = {}
    if len(resolved.coordinator_config().coordinators) == 1:
        needed = "two communities (hybrid) in the scenario"
        impossible[needed] = [each for each in chosen if each.needs_two_communities]
    if xmpp_nodes == 1:
        needed = "a server of several nodes (--xmpp ejabberd --xmpp-nodes 2)"
        impossible[needed] = [each for each in chosen if each.needs_nodes]
    for needed, kinds in impossible.items():
        if faults.strip() != ALL and kinds:
            names = ", ".join(each.name for each in kinds)
            raise InputError(f"--faults: found {names}, expected {needed}")
        chosen = [each for each in chosen if each not in kinds]
    folder = _folder(keep)
    one = Drill(resolved, folder, seed, deadline_s, server)
    cases = [
        (fault, phase)
        for fault in chosen
        for phase in [each for each in when if each in fault.phases] or fault.phases
    ]

    def say(number: int, text: str) -> None:
        if not as_json:
            typer.echo(f"run {number} of {len(cases) + 1}: {text}", err=True)

    harmed = True
    try:
        say(1, "undisturbed")
        undisturbed = one.run_undisturbed()
        for number, (fault, phase) in enumerate(cases, 2):
            say(number, f"{fault.name}, {phase}")
            one.run_case(fault, phase)
        harmed = any(case.failures for case in one.cases)
    finally:
        if keep is None and not harmed:
            shutil.rmtree(folder)
        elif not as_json:
            typer.echo(f"runs are in {folder}", err=True)
    if as_json:
        outcome = {
            "seed": seed,
            "harmed": harmed,
            "runs": str(folder) if keep is not None or harmed else None,
            "undisturbed": undisturbed.as_json(),
            "cases": [case.as_json() for case in one.cases],
        }
        typer.echo(json.dumps(outcome, indent=1))
    else:
        typer.echo("\n".join(drill_lines(undisturbed, one.cases)))
    if harmed:
        raise typer.Exit(1)


def _chosen_phases(phases: str) -> list[MarketPhase]:
    from runtime.drills.moments import MarketPhase

    known: tuple[MarketPhase, ...] = get_args(MarketPhase)
    names = [name.strip() for name in phases.split(",")]
    for name in names:
        if name not in known:
            raise InputError(f"--phases: found {name!r}, expected {' or '.join(known)}")
    return [phase for phase in known if phase in names]


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="peerwatt-drill-"))
    try:
        keep.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"--keep: {keep}: cannot be made: {error.strerror}") from error
    return keep
