"""``python -m agents bench``: measure planning and print the figures as JSON."""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path

from agents.bench.plan import measure, report
from agents.bench.suites import lorient_instances, random_instances


def run_bench(instances: int, data: Path | None, oracle_seconds: float, paper_seconds: float) -> int:
    """Measure and print; progress goes to standard error.

    Args:
        instances: number of random instances.
        data: folder with the Lorient data; None leaves those out.
        oracle_seconds: time limit of HiGHS for an instance [s].
        paper_seconds: time for the paper's formulation on the first of each group [s]; 0 leaves it out.

    Returns:
        The exit code.
    """
    chosen = list(chain(lorient_instances(data) if data else (), random_instances(instances)))
    count = 0

    def say(name: str) -> None:
        nonlocal count
        count += 1
        print(f"{count}/{len(chosen)} {name}", file=sys.stderr, flush=True)

    print(json.dumps(report(measure(chosen, oracle_seconds, paper_seconds, say))))
    return 0
