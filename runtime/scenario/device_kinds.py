"""Whether a scenario's meters, set-points and planners are of kinds that are installed; agents open them."""

from __future__ import annotations

from importlib.metadata import entry_points

from runtime.errors import InputError
from runtime.planners import check_strategy
from runtime.scenario.model import Scenario

BUILT_IN_SOURCES = frozenset({"csv", "pipe", "simulated"})
"""Kinds of meter sources that agents have without an entry point."""

BUILT_IN_TARGETS = frozenset({"modbus", "mqtt", "mqtts"})
"""Kinds of set-point targets that agents have without an entry point."""


def check_device_kinds(scenario: Scenario, where: str) -> None:
    """See that the kind of each meter's source, each set-point's target and each planner is there.

    Args:
        scenario: what to look at.
        where: its file, for errors.

    Raises:
        InputError: one is not, naming the field.
    """
    for number, member in enumerate(scenario.members, 1):
        named = f'{where}: member[{number}] "{member.name}"'
        if member.strategy is not None:
            try:
                check_strategy(member.strategy)
            except InputError as error:
                raise InputError(f"{named} {error}") from error
        for place, meter in enumerate(member.meters, 1):
            if meter.source is not None:
                field = f"{named} meter[{place}].source"
                _check_kind(meter.source, field, BUILT_IN_SOURCES, "peerwatt.meter_sources")
        if member.setpoint is not None:
            field = f"{named} setpoint.target"
            _check_kind(member.setpoint.target, field, BUILT_IN_TARGETS, "peerwatt.setpoint_targets")


def _check_kind(url: str, field: str, built_in: frozenset[str], group: str) -> None:
    kind, colon, _ = url.partition(":")
    known = {*built_in, *entry_points(group=group).names}
    if not colon or kind.lower() not in known:
        kinds = ", ".join(f"{name}:" for name in sorted(known))
        raise InputError(f"{field}: found {url!r}, expected a URL that begins with one of {kinds}")
