"""Scenarios: what a person writes, checked, and turned into what each process is told.

``load_scenario`` parses and checks; ``resolve`` adds the series; ``write_configs`` hands them to a run.
"""

from __future__ import annotations

from runtime.scenario.load import load_scenario
from runtime.scenario.resolve import resolve
from runtime.scenario.resolved import ResolvedScenario
from runtime.scenario.write import write_configs

__all__ = ["ResolvedScenario", "load_scenario", "resolve", "write_configs"]
