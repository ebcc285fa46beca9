"""``python -m runtime.bench.market RUN``: run the fleet of a run directory and measure it."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from runtime.bench.memory import Memory, memory_of_fleet
from runtime.bench.timings import Spread, Timings, read_timings
from runtime.bench.worker import News, give, run_worker, stop_with_parent, tell
from runtime.configuration import CoordinatorConfig
from runtime.errors import FleetError, PeerwattError
from runtime.fleet.supervisor import Fleet
from runtime.rundir import RunDirectory

WORTH_TELLING = frozenset({"ready", "restarted"})
"""Phases passed on while a fleet runs; telling of every round would take time from the round."""


@dataclass(frozen=True)
class MarketRun:
    """One run of a fleet.

    Attributes:
        ready_s: from the start until all processes are connected [s].
        whole_s: from the start until all processes are gone [s].
        timings: what its logs say.
        memory: by kind of process, in the middle of the last session's operation.
        restarts: processes started again; other than 0 the figures are not worth much.
    """

    ready_s: float
    whole_s: float
    timings: Timings
    memory: dict[str, Memory]
    restarts: int


def run_market(directory: RunDirectory, on_news: News) -> MarketRun:
    """Run the fleet of ``directory`` in a process of its own.

    Raises:
        FleetError: the fleet failed.
    """
    found = run_worker("runtime.bench.market", [str(directory.path)], on_news)
    memory = {
        kind: Memory(Spread(**each["uss_mib"]), Spread(**each["rss_mib"]))
        for kind, each in found.pop("memory").items()
    }
    return MarketRun(timings=Timings(**found.pop("timings")), memory=memory, **found)


def measure(directory: RunDirectory, on_news: News) -> MarketRun:
    """Run the fleet of ``directory`` and measure it; once only in a process, whose fork server stays."""
    config = CoordinatorConfig.load(directory.coordinator_config)
    last = len(config.sessions) - 1
    middle = config.sessions[last].horizon.slots // 2
    memory: dict[str, Memory] = {}

    def hear(agent: str, phase: str, detail: dict[str, Any]) -> None:
        if phase == "slot" and detail["session"] == last and detail["slot"] in (0, middle):
            # The news of the middle may be heard late, when processes have left: then the first slot counts.
            with contextlib.suppress(psutil.NoSuchProcess):
                memory.update(memory_of_fleet(fleet))
        if phase in WORTH_TELLING:
            on_news(agent, phase, detail)

    fleet = Fleet(directory, hear)
    began_s = time.monotonic()
    fleet.run()
    whole_s = time.monotonic() - began_s
    assert fleet.ready_seconds is not None, "a fleet that has run was ready"
    if not memory:
        raise FleetError("the session was over before memory could be measured: more slots are needed")
    return MarketRun(
        ready_s=fleet.ready_seconds,
        whole_s=whole_s,
        timings=read_timings(directory),
        memory=memory,
        restarts=sum(fleet.restarts.values()),
    )


def main() -> int:
    """Run as a worker."""
    stop_with_parent()
    try:
        give(asdict(measure(RunDirectory(Path(sys.argv[1])), lambda *news: tell(news))))
    except PeerwattError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
