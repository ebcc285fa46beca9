"""``peerwatt-meter``: a meter or gateway joins a community, without what agents of a market carry.

It reads a source, answers its prosumer's requests, and detaches on SIGTERM and Ctrl-C. Each step is a JSON
line on standard output. Exit codes: 0 detached or the run is over, 1 not attached, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes memory; there are none

from runtime import operations_log
from runtime.errors import InputError, PeerwattError


def main(arguments: list[str] | None = None) -> int:
    """Run the meter; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="peerwatt-meter", description="Be the meter of a member of an energy community."
    )
    parser.add_argument(
        "--join", type=Path, required=True, help="join file, made by: peerwatt meter join RUN MEMBER"
    )
    parser.add_argument(
        "--source",
        required=True,
        help="where readings come from: pipe:?unit=kWh (JSON lines on standard input), "
        "http://HOST?preset=shelly-gen2-em, mqtt://…, p1:/dev/ttyUSB0, sml:…, tic:…, csv:FILE?…",
    )
    parser.add_argument("--role", action="append", default=[], help="what it measures; all by default")
    parser.add_argument("--server", metavar="HOST[:PORT]", help="dial this instead of the join file's host")
    parser.add_argument(
        "--log", type=Path, help="message log, hash-chained; ACCOUNT.jsonl in the current folder by default"
    )
    given = parser.parse_args(arguments)
    try:
        operations_log.configure("text", "warning")
        return _run(given)
    except PeerwattError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _run(given: argparse.Namespace) -> int:
    from agents.meters.device.client import device_meter
    from runtime.joining import Joining
    from runtime.process import PrintingWatcher, serve

    joining = Joining.load(given.join)
    if given.server is not None:
        host, port = _server(given.server, joining.port)
        joining = joining.model_copy(update={"host": host, "port": port})
    log = given.log or Path(f"{joining.account}.jsonl")
    watcher = PrintingWatcher()

    def tell(phase: str, detail: dict[str, object]) -> None:
        figures = own_figures() if phase == "attached" else {}
        watcher.tell(joining.account, phase, {**detail, **figures})

    return serve(lambda: [device_meter(joining, given.source, given.role, log, tell)], watcher)


def own_figures() -> dict[str, float]:
    """What this process has taken so far, on Linux: seconds since it began, memory at most [MiB].

    Empty where there is no ``/proc``.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        began_ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except OSError:
        return {}
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    since_s = time.clock_gettime(time.CLOCK_BOOTTIME) - began_ticks / os.sysconf("SC_CLK_TCK")
    return {"since_start_s": round(since_s, 2), "peak_rss_mib": round(peak_kib / 1024, 1)}


def _server(text: str, port: int) -> tuple[str, int]:
    """Host and port of ``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises:
        InputError: the port is none.
    """
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, number = text, str(port)
    if not host or not number.isdecimal() or not 1 <= int(number) <= 65535:
        raise InputError(f"--server: found {text!r}, expected HOST or HOST:PORT")
    return host.strip("[]"), int(number)


if __name__ == "__main__":
    sys.exit(main())
