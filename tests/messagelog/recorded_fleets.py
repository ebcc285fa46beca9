"""A small fleet on a server that keeps a record; its logs as an agent that lies could write them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from runtime.fleet.servers import ServerKind, keep_server
from runtime.fleet.supervisor import Fleet
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import FIRST_PREV, LogRecord, encode_event, encode_message
from runtime.messagelog.server_record import RECORD_FILE
from runtime.results import write_results
from runtime.results.indicators import compute_indicators
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import resolve
from runtime.scenario.write import write_configs

SCENARIO = """
seed = 3
[mechanism]
name = "mid-market-rate"
max_rounds = 2
[community]
name = "Lane"
[horizon]
start = 2024-06-18T08:00:00
zone = "Europe/Paris"
slot_minutes = 15
slots = 4
[tariff]
import = 0.3
export = 0.08
[[member]]
name = "school"
load = { constant = 1.5, unit = "kW" }
[[member]]
name = "farm"
pv = { production = { constant = 3.5, unit = "kW" } }
"""


def run_recorded(folder: Path, server: ServerKind) -> RunDirectory:
    """Run a fleet of two members to its end on a server that keeps a record."""
    scenario = folder / "lane.toml"
    scenario.write_text(SCENARIO)
    directory = RunDirectory(folder / "run")
    keep_server(directory, server)
    write_configs(resolve(str(scenario)), directory)
    directory.server_dir.mkdir(parents=True, exist_ok=True)
    (directory.server_dir / RECORD_FILE).touch()
    Fleet(directory, lambda *_: None).run()
    compute_indicators(directory.path)
    write_results(directory.path, figures=False)
    return directory


Change = Callable[[LogRecord], Iterable[LogRecord]]


def rewritten(path: Path, change: Change) -> None:
    """Write a log anew with a chain that is whole, as an agent that lies could have written it."""
    records = [new for record in read_log(path) for new in change(record)]
    lines, prev = [], FIRST_PREV
    for seq, record in enumerate(records):
        if record.envelope is None:
            assert record.name is not None
            line, prev = encode_event(seq, record.at, record.name, record.data or {}, prev)
        else:
            line, prev = encode_message(seq, record.at, record.kind, record.envelope, record.note, prev)
        lines.append(line)
    path.write_bytes(b"".join(lines))
