"""All commands: one module each; heavy things are imported when a command needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.cli.bench import app as bench
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
)

app.command()(run)
app.command()(resume)
app.command()(new)
app.command()(check)
app.command("import")(import_series)
app.command()(messages)
app.command()(verify)
app.command()(dashboard)
app.command()(top)
app.command()(inspect)
app.add_typer(meter, name="meter")
app.add_typer(setpoint, name="setpoint")
app.command()(compare)
app.add_typer(dataset, name="dataset")
app.command()(report)
app.command()(replicate)
app.command()(explain)
app.command()(why)
app.command()(replay)
app.command()(forecast)
app.command()(plan)
app.command()(drill)
app.command()(compose)
app.command()(kubernetes)
app.command()(prepare)
app.command()(invite)
app.command()(join)
app.add_typer(secrets, name="secrets")
app.add_typer(xmpp, name="xmpp")
app.add_typer(bench, name="bench")


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
    """Peer-to-peer energy communities as a fleet of agents that trade over XMPP."""


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(version_of("peerwatt"))
