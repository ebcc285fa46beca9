"""Many meters through the embedded server: whether every reading asked for comes, how soon, at what cost."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from runtime.bench.memory import MIB
from runtime.errors import FleetError
from runtime.rundir import attached_meter_account
from runtime.xmpp.local import CONNECTION_FILE

ENTRY_MODULE = "agents.bench.metering"
LEAVE_LIMIT_S = 20.0


@dataclass(frozen=True)
class MeterFigures:
    """What was measured.

    Attributes:
        meters: each with its account, connection and message log, and a prosumer that asks it.
        interval_s: between two readings of a meter.
        seconds: how long was asked.
        meter_processes: that the meters were spread over.
        prosumer_processes: that the prosumers were spread over.
        connected_s: until all meters and prosumers were logged in and attached.
        readings_asked: by all prosumers.
        readings_received: of them, those that came.
        readings_wrong: that were not what the meter measured.
        requests_resent: repeated because the reading was overdue.
        latency_ms: from request to reading, by percentile (``p50``, ``p95``, ``p99``, ``max``).
        server_cpu_share: of one core, while readings were asked for.
        server_rss_mib: of the server, at the end.
        meters_cpu_share: of one core, all processes of meters together.
        prosumers_cpu_share: likewise of prosumers.
        meter_uss_kib: what one more meter in a process takes.
    """

    meters: int
    interval_s: float
    seconds: float
    meter_processes: int
    prosumer_processes: int
    connected_s: float
    readings_asked: int
    readings_received: int
    readings_wrong: int
    requests_resent: int
    latency_ms: dict[str, float]
    server_cpu_share: float
    server_rss_mib: float
    meters_cpu_share: float
    prosumers_cpu_share: float
    meter_uss_kib: float

    @property
    def readings_lost(self) -> int:
        """Asked for, and not there after all repetitions."""
        return self.readings_asked - self.readings_received


class Worker:
    """A process of the measurement, which prints JSON lines."""

    def __init__(self, module: str, arguments: list[str]) -> None:
        """Start it."""
        self.module = module
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.usage = psutil.Process(self.process.pid)

    def said(self, key: str) -> Any:  # noqa: ANN401 - whatever it prints
        """What it prints under ``key`` next.

        Raises:
            FleetError: it ended before.
        """
        assert self.process.stdout is not None, "stdout is a pipe"
        for line in self.process.stdout:
            told = json.loads(line)
            if key in told:
                return told[key]
        raise FleetError(f"{self.module} ended with exit code {self.process.wait()} before {key!r}")

    def go(self) -> None:
        """Tell it to go on."""
        assert self.process.stdin is not None, "stdin is a pipe"
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def cpu_s(self) -> float:
        """Processor time it has taken [s]."""
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    def uss_bytes(self) -> int:
        """Memory it has for itself [bytes]."""
        return int(self.usage.memory_full_info().uss)


@contextmanager
def running(module: str, arguments: list[str]) -> Iterator[Worker]:
    """A process of the measurement, which ends with the block."""
    worker = Worker(module, arguments)
    try:
        yield worker
    finally:
        assert worker.process.stdin is not None, "stdin is a pipe"
        assert worker.process.stdout is not None, "stdout is a pipe"
        worker.process.stdin.close()
        worker.process.terminate()
        try:
            worker.process.wait(LEAVE_LIMIT_S)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.process.stdout.close()


def measure_meters(
    meters: int, interval_s: float, seconds: float, processes: int, say: Callable[[str], None]
) -> MeterFigures:
    """Have prosumers ask meters for readings on an embedded server of their own.

    Args:
        meters: how many.
        interval_s: between two readings of a meter.
        seconds: how long they are asked.
        processes: that meters are spread over, and prosumers over as many.
        say: told where the measurement is.

    Raises:
        FleetError: a process ended early.
    """
    members = [f"member-{number:04d}" for number in range(meters)]
    with tempfile.TemporaryDirectory(prefix="peerwatt-meters-") as place, ExitStack() as stack:
        directory = Path(place)
        accounts = [*members, *(attached_meter_account(member) for member in members)]
        (directory / "accounts.json").write_text(json.dumps(accounts), encoding="utf-8")
        server_words = ["--dir", place, "--accounts", str(directory / "accounts.json")]
        server = stack.enter_context(running("runtime.xmpp", server_words))
        server.said("ready")
        common = ["--connection", str(directory / CONNECTION_FILE), "--logs", place]
        asked = [*common, "--interval-s", str(interval_s), "--seconds", str(seconds)]
        shares = [share for part in range(processes) if (share := members[part::processes])]
        began_s = time.monotonic()
        say(f"{meters} prosumers in {len(shares)} processes")
        prosumers = [
            stack.enter_context(running("runtime.bench.asking", [*asked, *share])) for share in shares
        ]
        for worker in prosumers:
            worker.said("connected")
        say(f"{meters} meters in {len(shares)} processes")
        devices = [stack.enter_context(running(ENTRY_MODULE, [*common, *share])) for share in shares]
        bare_bytes = []
        for worker in devices:
            worker.said("begun")
            bare_bytes.append(worker.uss_bytes())
            worker.go()
        for worker in [*devices, *prosumers]:
            worker.said("ready")
        connected_s = time.monotonic() - began_s
        say(f"all attached after {connected_s:.1f} s; asking for {seconds:g} s")
        workers = [server, *devices, *prosumers]
        before_s = [worker.cpu_s() for worker in workers]
        for worker in prosumers:
            worker.go()
        time.sleep(seconds)
        cpu_share = [
            (worker.cpu_s() - before) / seconds for worker, before in zip(workers, before_s, strict=True)
        ]
        results = [worker.said("result") for worker in prosumers]
        grown_bytes = sum(worker.uss_bytes() for worker in devices) - sum(bare_bytes)
        return MeterFigures(
            meters=meters,
            interval_s=interval_s,
            seconds=seconds,
            meter_processes=len(devices),
            prosumer_processes=len(prosumers),
            connected_s=connected_s,
            readings_asked=sum(result["asked"] for result in results),
            readings_received=sum(result["answered"] for result in results),
            readings_wrong=sum(result["wrong"] for result in results),
            requests_resent=sum(result["resent"] for result in results),
            latency_ms=percentiles_ms([each for result in results for each in result["latencies_s"]]),
            server_cpu_share=cpu_share[0],
            server_rss_mib=server.usage.memory_info().rss / MIB,
            meters_cpu_share=sum(cpu_share[1 : 1 + len(devices)]),
            prosumers_cpu_share=sum(cpu_share[1 + len(devices) :]),
            meter_uss_kib=grown_bytes / 1024 / meters,
        )


def percentiles_ms(latencies_s: Sequence[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile (nearest rank) and greatest [ms]; empty without any."""
    ordered = sorted(latencies_s)
    if not ordered:
        return {}
    ranks = {f"p{share}": math.ceil(share / 100 * len(ordered)) - 1 for share in (50, 95, 99)}
    return {name: 1000 * ordered[rank] for name, rank in {**ranks, "max": -1}.items()}
