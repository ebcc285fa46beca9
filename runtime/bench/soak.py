"""``python -m runtime.bench.soak RUN``: a fleet over many simulated days, looked at all the way.

What a process keeps for each message, slot or session shows as memory or open files that grow with the days.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from runtime.bench.community import write_community
from runtime.bench.growth import steady_slope_of, without_greatest_step
from runtime.bench.memory import MIB, pids_of_fleet, some_of
from runtime.bench.worker import News, give, run_worker, stop_with_parent, tell
from runtime.configuration import CoordinatorConfig
from runtime.errors import FleetError, PeerwattError
from runtime.fleet.supervisor import Fleet
from runtime.records import CoordinatorRecord
from runtime.results.ledger import check_ledger
from runtime.results.ledger_error import LedgerError
from runtime.rundir import RunDirectory

LOOKS = 42
"""How often memory and open files are looked at."""

LIMIT_MIB_PER_DAY = {"prosumer": 0.1, "meters": 0.05, "server": 0.1, "coordinator": 0.15}
"""A process may grow so much a day in the second half, in a community of up to ``LIMITED_MEMBERS``. A member
keeps what it recorded of each day; for the rest it is what figures differ by."""

LIMITED_MEMBERS = 20
"""In larger communities a process for all members may grow in proportion."""

TELLING_DAYS = 4.0
"""Fewer days than this tell nothing of growth: buffers and caches are still being filled."""


@dataclass(frozen=True)
class Look:
    """Memory and open files at one moment.

    Attributes:
        day: simulated days since the start.
        seconds: since the fleet was ready.
        uss_mib: by kind of process, unique set size of each.
        files: by kind of process, open descriptors of each.
    """

    day: float
    seconds: float
    uss_mib: dict[str, list[float]]
    files: dict[str, list[int]]


@dataclass(frozen=True)
class Growth:
    """How the processes of a kind grew over the second half of the days.

    Attributes:
        first_mib: unique set size at first, of the process that grew most.
        half_mib: of the same half way.
        last_mib: of the same at the end.
        mib_per_day: its steady slope over the second half; memory that one busier day needed is no growth.
        limit_mib_per_day: at most.
        files_first: open descriptors at first, most of any process.
        files_last: at the end.
    """

    first_mib: float
    half_mib: float
    last_mib: float
    mib_per_day: float
    limit_mib_per_day: float
    files_first: int
    files_last: int

    @property
    def flat(self) -> bool:
        """Whether neither memory nor files grew."""
        return self.mib_per_day <= self.limit_mib_per_day and self.files_last <= self.files_first


@dataclass(frozen=True)
class SoakFigures:
    """What became of a fleet over many days.

    Attributes:
        members: prosumers, every second with a battery.
        days: simulated.
        sessions: that they took.
        slots: that were operated.
        whole_s: from the start until all processes are gone.
        looks: at memory and open files, in order.
        growth: by kind of process; {} where the run was too short to tell.
        messages: that were sent.
        repeated: sent more than once.
        duplicates: that arrived more than once.
        refused: that were refused.
        late: answers to rounds that came too late.
        missing: slots of members that were settled without a delivery.
        restarts: of processes.
        log_mb: size of all logs.
        imbalance: what is wrong with the ledger; None where it balances to the last decimal.
        proven: whether ``peerwatt verify`` found logs, prices and bills right.
        findings: what it found.
    """

    members: int
    days: float
    sessions: int
    slots: int
    whole_s: float
    looks: list[Look]
    growth: dict[str, Growth]
    messages: int
    repeated: int
    duplicates: int
    refused: int
    late: int
    missing: int
    restarts: int
    log_mb: float
    imbalance: str | None
    proven: bool
    findings: list[str]

    def failures(self) -> list[str]:
        """What is not as it should be, in words; none where all is well."""
        failures = [
            f"{kind}: memory grows by {each.mib_per_day:.2f} MiB a day, expected at most "
            f"{each.limit_mib_per_day:.2f}"
            for kind, each in self.growth.items()
            if each.mib_per_day > each.limit_mib_per_day
        ]
        failures += [
            f"{kind}: {each.files_last} open files at the end, {each.files_first} at first"
            for kind, each in self.growth.items()
            if each.files_last > each.files_first
        ]
        counts = {
            "answers to rounds were late": self.late,
            "slots were settled without their delivery": self.missing,
            "processes had to be started again": self.restarts,
            "messages were refused": self.refused,
        }
        failures += [f"{count} {what}" for what, count in counts.items() if count]
        if self.imbalance is not None:
            failures.append(self.imbalance)
        if not self.proven:
            failures += [f"not proven: {text}" for text in self.findings] or ["not proven"]
        return failures


def measure_soak(
    members: int,
    days: int,
    slots_a_day: int,
    replan_every_slots: int | None,
    mechanism: str,
    on_news: News,
    keep: Path | None = None,
) -> SoakFigures:
    """Run a synthetic community for so many simulated days, and look at it.

    Args:
        members: prosumers.
        days: simulated.
        slots_a_day: slots of a day, and of what a session plans.
        replan_every_slots: a session operates so many slots, then the next one plans a day anew; None for
            one session a day.
        mechanism: of the market.
        on_news: told where the measurement is.
        keep: new folder in which the run is kept; it is removed if None.

    Raises:
        FleetError: the fleet failed.
    """
    with contextlib.ExitStack() as stack:
        path = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peerwatt-soak-")), "run")
        directory = RunDirectory(path)
        operated = replan_every_slots or slots_a_day
        write_community(
            directory,
            members,
            slots_a_day,
            sessions=days * slots_a_day // operated,
            operated_slots=None if replan_every_slots is None else operated,
            mechanism=mechanism,
            one_after_the_other=True,
        )
        found = run_worker("runtime.bench.soak", [str(path)], on_news)
        on_news("bench", "verify", {})
        return figures_of(directory, slots_a_day, found)


def figures_of(directory: RunDirectory, slots_a_day: int, found: dict[str, Any]) -> SoakFigures:
    """Put together what a run's worker saw, what its record says and what its logs prove."""
    record = CoordinatorRecord.load(directory.coordinator_record)
    slots = sum(session.horizon.slots for session in record.sessions)
    looks = [Look(**look) for look in found["looks"]]
    days = slots / slots_a_day
    verdict = _verified(directory)
    settlement = (verdict["settlement"] or {}).get("proof", {})
    expected = slots * len(record.members)
    return SoakFigures(
        members=len(record.members),
        days=days,
        sessions=len(record.sessions),
        slots=slots,
        whole_s=found["whole_s"],
        looks=looks,
        growth={} if days < TELLING_DAYS else growth_in(looks, len(record.members)),
        messages=verdict["logs"]["messages"],
        repeated=verdict["logs"]["resends"],
        duplicates=verdict["logs"]["duplicates"],
        refused=verdict["logs"]["refused"],
        late=sum(len(each.late) for session in record.sessions for each in session.rounds),
        missing=expected - settlement.get("deliveries", 0) + settlement.get("missing", 0),
        restarts=found["restarts"],
        log_mb=sum(path.stat().st_size for path in directory.logs_dir.glob("*.jsonl")) / 1e6,
        imbalance=imbalance_in(record),
        proven=verdict["proven"],
        findings=verdict["findings"],
    )


def growth_in(looks: Sequence[Look], members: int) -> dict[str, Growth]:
    """How each kind of process grew: its process that grew most over the second half of the days."""
    half = len(looks) // 2
    found = {}
    for kind in looks[0].uss_mib:
        days = [look.day for look in looks[half:]]
        series = [*zip(*(look.uss_mib[kind] for look in looks), strict=True)]
        slopes = [steady_slope_of(days, without_greatest_step(each[half:])) for each in series]
        steepest = slopes.index(max(slopes))
        size = 1.0 if kind == "prosumer" else max(1.0, members / LIMITED_MEMBERS)
        found[kind] = Growth(
            first_mib=series[steepest][0],
            half_mib=series[steepest][half],
            last_mib=series[steepest][-1],
            mib_per_day=slopes[steepest],
            limit_mib_per_day=LIMIT_MIB_PER_DAY[kind] * size,
            files_first=max(looks[0].files[kind]),
            files_last=max(looks[-1].files[kind]),
        )
    return found


def imbalance_in(record: CoordinatorRecord) -> str | None:
    """What is wrong with a record's ledger; None where it balances to the last decimal."""
    try:
        check_ledger(record)
    except LedgerError as error:
        return str(error)
    return None


def _verified(directory: RunDirectory) -> dict[str, Any]:
    command = [sys.executable, "-m", "runtime", "verify", str(directory.path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        verdict: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise FleetError(f"peerwatt verify failed: {done.stderr.strip()}") from None
    return verdict


def watch(directory: RunDirectory, on_news: News) -> dict[str, Any]:
    """Run the fleet of ``directory`` and look at its processes at equal distances of simulated time."""
    config = CoordinatorConfig.load(directory.coordinator_config)
    operated = [session.operated.slots for session in config.sessions]
    slots_a_day = round(24 / config.sessions[0].horizon.slot_hours)
    every = max(1, sum(operated) // LOOKS)
    looks: list[Look] = []
    ready_s = 0.0

    def hear(agent: str, phase: str, detail: dict[str, Any]) -> None:
        nonlocal ready_s
        if phase == "ready" and agent == "fleet":
            ready_s = time.monotonic()
        if phase == "slot":
            slot = sum(operated[: detail["session"]]) + detail["slot"]
            if slot % every == 0:
                # The news of the last slots may be heard late, when processes have left.
                with contextlib.suppress(psutil.Error):
                    looks.append(_look(fleet, slot / slots_a_day, time.monotonic() - ready_s))
                on_news("soak", "look", {"day": slot / slots_a_day, "days": sum(operated) / slots_a_day})
        if phase in ("ready", "restarted"):
            on_news(agent, phase, detail)

    fleet = Fleet(directory, hear)
    began_s = time.monotonic()
    fleet.run()
    return {
        "whole_s": time.monotonic() - began_s,
        "restarts": sum(fleet.restarts.values()),
        "looks": [asdict(look) for look in looks],
    }


def _look(fleet: Fleet, day: float, seconds: float) -> Look:
    processes = {
        kind: [psutil.Process(pid) for pid in some_of(pids)] for kind, pids in pids_of_fleet(fleet).items()
    }
    uss_mib = {
        kind: [each.memory_full_info().uss / MIB for each in found] for kind, found in processes.items()
    }
    for kind, found in uss_mib.items():
        if not all(found):  # it has ended, and its parent has not taken note yet
            raise psutil.ZombieProcess(processes[kind][found.index(0.0)].pid)
    return Look(
        day,
        seconds,
        uss_mib,
        {kind: [each.num_fds() for each in found] for kind, found in processes.items()},
    )


def main() -> int:
    """Run as a worker."""
    stop_with_parent()
    try:
        give(watch(RunDirectory(Path(sys.argv[1])), lambda *news: tell(news)))
    except PeerwattError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
