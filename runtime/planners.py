"""Which planners members can have: the built-in, and entry points of the group ``peerwatt.planners``.

A scenario is checked against them before anything starts; agents make them.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from runtime.errors import InputError

GROUP = "peerwatt.planners"
"""Group of entry points; each names what makes an ``agents.planning.planner.Planner`` from a seed."""

BUILT_IN = ("idle", "rule", "optimised")
"""Strategies that need no entry point, and that none replaces."""


HEEDLESS_OF_PRICES = ("idle", "rule")
"""Strategies with which a member does the same at all prices."""


def installed_planner(strategy: str) -> EntryPoint:
    """The entry point of a planner from elsewhere.

    Raises:
        InputError: none of this name is installed.
    """
    installed = entry_points(group=GROUP)
    for point in installed:
        if point.name == strategy:
            return point
    known = ", ".join([*BUILT_IN, *sorted(installed.names)])
    raise InputError(f"strategy: found {strategy!r}, expected one of {known}")


def check_strategy(strategy: str) -> None:
    """See that a strategy is built in, or its planner installed.

    Raises:
        InputError: neither.
    """
    if strategy not in BUILT_IN:
        installed_planner(strategy)
