"""XMPP servers beside each other, each carrying the same rounds between plain slixmpp clients.

A round is a coordinator's call to all members and their answers. Nobody plans, logs or repeats; what differs
is the server's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from runtime.bench.community import member_names
from runtime.bench.load import Load, Said, Step
from runtime.bench.plain import run_plain
from runtime.bench.timings import Spread
from runtime.bench.worker import News
from runtime.errors import FleetError, InputError
from runtime.fleet.descriptors import allow_open_files
from runtime.fleet.servers import (
    OWN_SERVERS,
    Server,
    ServerChoice,
    check_installed,
    keep_server,
    most_nodes_of,
    server_of,
)
from runtime.rundir import COORDINATOR, RunDirectory, meter_account
from runtime.xmpp.local import CONNECTION_FILE

CALL_BYTES, PROPOSAL_BYTES = 1500, 1500
"""Bodies, as long as those of a day of 96 slots are."""

CLIENT_PROCESSES = 2
"""That members are spread over."""

MESSAGES = 6000
"""Carried in the measured rounds of one size, where these are not too few or too many rounds."""

FEWEST_ROUNDS, MOST_ROUNDS = 10, 300


@dataclass(frozen=True)
class ServerFigures:
    """One server with one size of community.

    Attributes:
        server: which, as the person named it.
        members: of the community.
        round_s: from the first call sent to the last answer received [s].
        login_s: until coordinator, members and their meters are all logged in, clients' start included [s].
        server_cpu_us_per_message: the server's processor time in rounds, all nodes' [µs].
        server_uss_mib: memory of all nodes after the rounds [MiB].
    """

    server: str
    members: int
    round_s: Spread
    login_s: float
    server_cpu_us_per_message: float
    server_uss_mib: float

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def parse_server(text: str) -> ServerChoice:
    """Read ``KIND`` or ``KIND:NODES``.

    Raises:
        InputError: no server that a run starts, or not installed, or not of so many nodes.
    """
    name, _, nodes = text.partition(":")
    kind = OWN_SERVERS.get(name)
    if kind is None:
        raise InputError(f"--servers: found {text!r}, expected embedded, prosody, ejabberd or ejabberd:NODES")
    most = most_nodes_of(kind)
    if nodes and not (nodes.isdecimal() and 1 <= int(nodes) <= most):
        raise InputError(f"--servers: found {text!r}, expected 1 to {most} nodes of {kind}")
    check_installed(kind)
    return ServerChoice(kind=kind, nodes=int(nodes or 1))


def rounds_for(members: int) -> int:
    """Rounds measured with so many members."""
    return max(FEWEST_ROUNDS, min(MOST_ROUNDS, MESSAGES // (2 * members)))


def measure_server(
    name: str, choice: ServerChoice, sizes: Sequence[int], on_news: News
) -> list[ServerFigures]:
    """Start a server, have it carry rounds of each size, and remove it.

    Args:
        name: what it is called in the figures.
        choice: which.
        sizes: members of communities, one after the other.
        on_news: told where the measurement is.

    Raises:
        FleetError: the server did not start, or clients did not connect or answer in time.
    """
    members = member_names(max(sizes))
    with tempfile.TemporaryDirectory(prefix="peerwatt-bench-") as folder:
        directory = RunDirectory(Path(folder))
        accounts = [COORDINATOR, *members, *(meter_account(member) for member in members)]
        directory.accounts_json.parent.mkdir(parents=True, exist_ok=True)
        directory.accounts_json.write_text(json.dumps(accounts), encoding="utf-8")
        keep_server(directory, choice)
        allow_open_files(len(members))
        server = server_of(directory)
        server.start()
        try:
            server.await_ready()
            # Code that a server loads or compiles when it is first used is not what a message costs.
            _carry(name, server, directory, members[: min(sizes)], lambda *_: None)
            return [_carry(name, server, directory, members[:size], on_news) for size in sizes]
        finally:
            server.terminate()
            if not server.wait(10.0):
                server.kill()
                server.wait(5.0)


def _carry(
    name: str, server: Server, directory: RunDirectory, members: list[str], on_news: News
) -> ServerFigures:
    on_news("bench", "server", {"server": name, "members": len(members)})
    rounds = rounds_for(len(members))
    short, long = (_load(directory, each) for each in (1, 1 + rounds))
    per_process = -(-len(members) // CLIENT_PROCESSES)
    connection = directory.server_dir / CONNECTION_FILE
    processes = _processes(server)
    # What logins cost is in both runs, so the difference is that of rounds.
    before_s = _cpu_s(processes)
    run_plain(connection, short, members, per_process, on_news)
    between_s = _cpu_s(processes)
    carried = run_plain(connection, long, members, per_process, on_news)
    after_s = _cpu_s(processes)
    in_rounds_s = (after_s - between_s) - (between_s - before_s)
    return ServerFigures(
        server=name,
        members=len(members),
        round_s=Spread.of(carried.rounds_s),
        login_s=carried.ready_s,
        server_cpu_us_per_message=1e6 * in_rounds_s / (rounds * 2 * len(members)),
        server_uss_mib=sum(process.memory_full_info().uss for process in processes) / 2**20,
    )


def _load(directory: RunDirectory, rounds: int) -> Path:
    """Rounds of the market's lengths, the first of which is not counted."""
    steps = [Step(0, Said.CALL, 0.0), *(Step(1, Said.CALL, 0.005) for _ in range(rounds))]
    lengths = dict.fromkeys(Said, 100) | {Said.CALL: CALL_BYTES, Said.PROPOSAL: PROPOSAL_BYTES}
    path = directory.path / f"load-{rounds}.json"
    Load(steps, lengths).save(path)
    return path


def _processes(server: Server) -> list[psutil.Process]:
    pids: list[int] = getattr(server, "pids", [server.pid])
    if not all(pids):
        raise FleetError("the server has no process of its own")
    return [psutil.Process(pid) for pid in pids]


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
