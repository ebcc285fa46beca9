"""The real ``peerwatt`` command as a subprocess: its processes by name, its logs while they grow."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

PATIENCE_S = 60.0
"""How long a condition may take on a machine that does much else; an idle one takes a second or two."""

SERVER, METERS, COORDINATOR = "xmpp-server", "meters", "coordinator"


def peerwatt(*arguments: object) -> list[str]:
    """The command line of a ``peerwatt`` command."""
    return [sys.executable, "-m", "runtime", *map(str, arguments)]


def call(*arguments: object, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(peerwatt(*arguments), capture_output=True, text=True, timeout=timeout_s)


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Wait until a condition holds; returns its value."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.01)
    return value


@dataclass
class Run:
    """A ``peerwatt run`` (or ``resume``) in progress, and what it leaves."""

    scenario: str
    runs: Path
    options: tuple[object, ...] = ()
    name: str = "run"
    command: str = "run"
    process: subprocess.Popen[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = ("--runs", self.runs, "--name", self.name) if self.command == "run" else ()
        self.process = subprocess.Popen(
            peerwatt(self.command, self.scenario, *own, "--no-figures", *self.options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def path(self) -> Path:
        return self.runs / self.name

    def end(self, timeout_s: float = 2 * PATIENCE_S) -> tuple[int, str, str]:
        """Wait for the end; exit code, standard output, standard error."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err

    def succeed(self, timeout_s: float = 2 * PATIENCE_S) -> str:
        """Wait for a good end; standard error."""
        code, _, err = self.end(timeout_s)
        assert code == 0, err
        return err

    def descendants(self) -> list[psutil.Process]:
        """All processes that this run has started and that still run."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def pid_of(self, name: str) -> int | None:
        """Process id of a part of the fleet: the one whose standard error goes to its file."""
        errors = (self.path / "logs" / f"{name}.stderr").resolve()
        for child in self.descendants():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child.pid}/fd/2").readlink() == errors:
                    return child.pid
        return None

    def kill(self, name: str) -> int:
        """Kill a part of the fleet as if it had crashed; returns its process id."""
        pid = eventually(lambda: self._pid_while_running(name), f"{name} runs")
        os.kill(pid, signal.SIGKILL)
        return int(pid)

    def _pid_while_running(self, name: str) -> int | None:
        assert self.process.poll() is None, f"the run ended: {self.process.communicate()}"
        return self.pid_of(name)

    def logged(self, agent: str, wanted: Callable[[dict[str, Any]], bool]) -> bool:
        """Whether a record is in an agent's log."""
        return any(wanted(record) for record in records_of(self.path, agent))

    def await_logged(self, agent: str, wanted: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Wait until a record is in an agent's log."""

        def there() -> bool:
            if self.logged(agent, wanted):
                return True
            assert self.process.poll() is None, f"the run ended: {self.process.communicate()}"
            return False

        eventually(there, what)

    def await_round(self, number: int) -> None:
        """Wait until the coordinator has opened a price round."""
        self.await_logged(COORDINATOR, lambda record: _round_of(record) == number, f"round {number}")

    def await_slot(self, slot: int) -> None:
        """Wait until the coordinator has asked for the deliveries of a slot."""
        self.await_logged(COORDINATOR, lambda record: _slot_of(record) == slot, f"slot {slot}")

    def abandon(self) -> None:
        """Leave nothing running, whatever a test did."""
        children = self.descendants()
        if self.process.poll() is None:
            self.process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def records_of(run: Path, agent: str) -> list[dict[str, Any]]:
    """The whole lines of an agent's message log."""
    try:
        text = (run / "logs" / f"{agent}.jsonl").read_text(encoding="ascii")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _round_of(record: dict[str, Any]) -> int | None:
    if record["kind"] == "out" and record["performative"] == "cfp":
        return int(json.loads(record["body"])["round"])
    return None


def _slot_of(record: dict[str, Any]) -> int | None:
    if record["kind"] == "out" and record["protocol"] == "operation" and record["performative"] == "request":
        return int(json.loads(record["body"])["slot"])
    return None


def restarts_in(run: Path, agent: str) -> list[str]:
    """Where in its session each restart of an agent fell: ``negotiation``, ``operation`` or ``elsewhere``."""
    places, place = [], "elsewhere"
    for record in records_of(run, agent):
        if record.get("name") == "log-continued":
            places.append(place)
        elif record.get("performative") in ("cfp", "propose"):
            place = "negotiation"
        elif record.get("performative") == "accept-proposal":
            place = "elsewhere"
        elif record.get("protocol") in ("operation", "metering") and record["performative"] == "request":
            place = "operation"
    return places


def ledger_of(run: Path) -> list[dict[str, str]]:
    """Rows of a run's ledger."""
    with (run / "ledger.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def cost_eur(run: Path, member: str | None = None) -> Decimal:
    """What a member, or the community, pays by the ledger, exactly."""
    total = Decimal(0)
    for row in ledger_of(run):
        if member in (None, row["member"]):
            paid = row["debit"] == f"member:{row['member']}"
            total += Decimal(row["amount_eur"]) if paid else -Decimal(row["amount_eur"])
    return total


def grid_import_kwh(run: Path, member: str | None = None) -> Decimal:
    """What a member, or all of them, take from the grid by the ledger, exactly."""
    rows = [row for row in ledger_of(run) if row["kind"] == "grid-import" and member in (None, row["member"])]
    return sum((Decimal(row["energy_kwh"]) for row in rows), Decimal(0))


def processes_naming(path: Path) -> list[str]:
    """Command lines of running processes that name a path."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if str(path) in line and process.pid != os.getpid():
                found.append(line)
    return found


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of some processes that have not ended (a zombie has)."""
    running = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
    return running


@contextlib.contextmanager
def fleet(
    scenario: object, runs: Path, *options: object, name: str = "run", command: str = "run"
) -> Iterator[Run]:
    """A run that leaves nothing behind when the block is left; of a run's folder if it is resumed."""
    run = Run(str(scenario), runs, options, name, command)
    try:
        yield run
    finally:
        run.abandon()
