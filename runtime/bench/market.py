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
from runtime.bench.timings import Timings, read_timings
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
        memory: by kind of process, in the middle of the last session's operation, or the last that could
            be seen before it; {} where nobody looked.
        restarts: processes started again; other than 0 the figures are not worth much.
    """

    ready_s: float
    whole_s: float
    timings: Timings
    memory: dict[str, Memory]
    restarts: int


def run_market(directory: RunDirectory, on_news: News, *, look_at_memory: bool) -> MarketRun:
    """Run the fleet of ``directory`` in a process of its own.

    Args:
        directory: the run, configured.
        on_news: told how far it is.
        look_at_memory: whether to, which holds processes up for a moment.

    Raises:
        FleetError: the fleet failed.
    """
    arguments = [str(directory.path), *(["--memory"] if look_at_memory else [])]
    found = run_worker("runtime.bench.market", arguments, on_news)
    memory = {kind: Memory.from_dict(each) for kind, each in found.pop("memory").items()}
    return MarketRun(timings=Timings(**found.pop("timings")), memory=memory, **found)


def measure(directory: RunDirectory, on_news: News, *, look_at_memory: bool) -> MarketRun:
    """Run the fleet of ``directory`` and measure it; once only in a process, whose fork server stays."""
    config = CoordinatorConfig.load(directory.coordinator_config)
    last = len(config.sessions) - 1
    middle = config.sessions[last].operated.slots // 2
    memory: dict[str, Memory] = {}

    def hear(agent: str, phase: str, detail: dict[str, Any]) -> None:
        looked_at = phase == "slot" and detail["session"] in (0, last) and detail["slot"] in (0, middle)
        if look_at_memory and looked_at:
            # News may be heard late, when processes have left: then what was seen before counts.
            with contextlib.suppress(psutil.NoSuchProcess):
                memory.update(memory_of_fleet(fleet))
        if phase in WORTH_TELLING:
            on_news(agent, phase, detail)

    fleet = Fleet(directory, hear)
    began_s = time.monotonic()
    fleet.run()
    whole_s = time.monotonic() - began_s
    assert fleet.ready_seconds is not None, "a fleet that has run was ready"
    if look_at_memory and not memory:
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
    directory = RunDirectory(Path(sys.argv[1]))
    try:
        give(asdict(measure(directory, lambda *news: tell(news), look_at_memory="--memory" in sys.argv[2:])))
    except PeerwattError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
