"""All commands: one module each; heavy things are imported when a command needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.cli.bench import app as bench
from runtime.cli.bills import bills
from runtime.cli.check import check
from runtime.cli.compare import compare
from runtime.cli.compose import compose
from runtime.cli.dashboard import dashboard
from runtime.cli.dataset import app as dataset
from runtime.cli.drill import drill
from runtime.cli.explain import explain
from runtime.cli.forecast import forecast
from runtime.cli.import_series import import_series
from runtime.cli.inspect import inspect
from runtime.cli.invite import invite, join
from runtime.cli.kubernetes import kubernetes
from runtime.cli.messages import messages
from runtime.cli.meter import app as meter
from runtime.cli.new import new
from runtime.cli.plan import plan
from runtime.cli.prepare import prepare
from runtime.cli.replay import replay
from runtime.cli.replicate import replicate
from runtime.cli.report import report
from runtime.cli.resume import resume
from runtime.cli.run import run
from runtime.cli.secrets import app as secrets
from runtime.cli.setpoint import app as setpoint
from runtime.cli.top import top
from runtime.cli.verify import verify
from runtime.cli.why import why
from runtime.cli.xmpp import app as xmpp

app = typer.Typer(
    name="peerwatt",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # Rich's own markup would take a unit in brackets, as [s], for a style
)

# In the order of `peerwatt --help`, which shows one box for each of these headings.
RUN, CHOOSE, LOOK, METERS, DEPLOY, TEST = (
    "Run your community",
    "Compare and choose",
    "Look into a run",
    "Meters and batteries",
    "Deploy on several machines",
    "Test and measure",
)

app.command(rich_help_panel=RUN)(new)
app.command(rich_help_panel=RUN)(check)
app.command("import", rich_help_panel=RUN)(import_series)
app.command(rich_help_panel=RUN)(run)
app.command(rich_help_panel=RUN)(resume)
app.command(rich_help_panel=RUN)(report)
app.command(rich_help_panel=RUN)(bills)
app.command(rich_help_panel=CHOOSE)(compare)
app.add_typer(dataset, name="dataset", rich_help_panel=CHOOSE)
app.command(rich_help_panel=CHOOSE)(replicate)
app.command(rich_help_panel=CHOOSE)(plan)
app.command(rich_help_panel=CHOOSE)(forecast)
app.command(rich_help_panel=LOOK)(dashboard)
app.command(rich_help_panel=LOOK)(top)
app.command(rich_help_panel=LOOK)(messages)
app.command(rich_help_panel=LOOK)(verify)
app.command(rich_help_panel=LOOK)(why)
app.command(rich_help_panel=LOOK)(explain)
app.command(rich_help_panel=LOOK)(replay)
app.command(rich_help_panel=LOOK)(inspect)
app.add_typer(meter, name="meter", rich_help_panel=METERS)
app.add_typer(setpoint, name="setpoint", rich_help_panel=METERS)
app.command(rich_help_panel=DEPLOY)(compose)
app.command(rich_help_panel=DEPLOY)(kubernetes)
app.command(rich_help_panel=DEPLOY)(prepare)
app.command(rich_help_panel=DEPLOY)(invite)
app.command(rich_help_panel=DEPLOY)(join)
app.add_typer(secrets, name="secrets", rich_help_panel=DEPLOY)
app.add_typer(xmpp, name="xmpp", rich_help_panel=DEPLOY)
app.command(rich_help_panel=TEST)(drill)
app.add_typer(bench, name="bench", rich_help_panel=TEST)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def common(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Peer-to-peer energy communities as a fleet of agents that trade over XMPP.

    Start with `peerwatt run`, which runs the built-in community; then `peerwatt new` for your own.
    """


@app.command(rich_help_panel=TEST)
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(version_of("peerwatt"))
