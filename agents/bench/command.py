"""``python -m agents bench``: measure planning and print the figures as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from agents.bench.flexible import measure_flexible
from agents.bench.flexible import summary as flexible_summary
from agents.bench.flexible_suite import flexible_instances
from agents.bench.plan import PlanFigures, has_oracle, measure, report
from agents.bench.suites import (
    Instance,
    intraday_instances,
    lorient_instances,
    lorient_trade_offs,
    random_instances,
)

INTRADAY_AGEING, INTRADAY_FRONTS = 4, 2

FLEXIBLE = 12
"""Members with a vehicle and appliances beside the battery."""


def run_bench(
    instances: int, data: Path | None, oracle_seconds: float, paper_seconds: float, trade_offs: bool = True
) -> int:
    """Measure and print; progress goes to standard error.

    Args:
        instances: number of random instances.
        data: folder with the Lorient data; None leaves those out.
        oracle_seconds: time limit of HiGHS for an instance [s].
        paper_seconds: time for the paper's formulation on the first of each group [s]; 0 leaves it out.
        trade_offs: measure planning with ageing, fronts, vehicles and appliances too, where HiGHS is there to
            compare with.

    Returns:
        The exit code.
    """
    chosen = list(chain(lorient_instances(data) if data else (), random_instances(instances)))
    ageing = list(intraday_instances(INTRADAY_AGEING)) if trade_offs and has_oracle() else []
    fronts = ageing[:INTRADAY_FRONTS]
    if ageing and data:
        more_ageing, more_fronts = lorient_trade_offs(data)
        ageing, fronts = ageing + more_ageing, fronts + more_fronts
    flexible = list(flexible_instances(FLEXIBLE)) if trade_offs and has_oracle() else []
    total = len(chosen) + len(ageing) + len(fronts) + len(flexible)
    count = 0

    def say(name: str) -> None:
        nonlocal count
        count += 1
        print(f"{count}/{total} {name}", file=sys.stderr, flush=True)

    figures = measure(chosen, oracle_seconds, paper_seconds, say)
    found = _report(figures, ageing, fronts, say)
    found["flexible"] = flexible_summary(measure_flexible(flexible, oracle_seconds, say))
    print(json.dumps(found))
    return 0


def _report(
    figures: list[PlanFigures], ageing: list[Instance], fronts: list[Instance], say: Callable[[str], None]
) -> dict[str, Any]:
    if not ageing:
        return report(figures)
    from agents.bench.trade_offs import measure_ageing, measure_fronts

    return report(figures, measure_ageing(ageing, say), measure_fronts(fronts, say))
