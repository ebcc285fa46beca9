"""``peerwatt bench``: how fast and how large things are on this machine."""

from __future__ import annotations

import typer

from runtime.cli.bench_fleet import fleet
from runtime.cli.bench_log import log
from runtime.cli.bench_meters import meters
from runtime.cli.bench_plan import plan
from runtime.cli.bench_servers import servers
from runtime.cli.bench_soak import soak

app = typer.Typer(
    help="Measure on this machine: fleets, days on end, servers, meters, plans, logs.", no_args_is_help=True
)


@app.callback()
def bench() -> None:
    """Measure on this machine."""


app.command()(fleet)
app.command()(plan)
app.command()(meters)
app.command()(servers)
app.command()(log)
app.command()(soak)
