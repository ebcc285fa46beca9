"""Several sources behind one meter, each for roles of its own, as a scenario declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.meters.energy import SlotEnergy
from agents.meters.source import (
    BackgroundSource,
    MeterSource,
    RevisingSource,
    Revision,
    open_source,
    roles_to_measure,
)
from runtime.configuration import ClockConfig, MeterConfig, MeterRole
from runtime.horizon import Horizon


class SeveralSources:
    """Sources by role: a role that one of them fails to read leaves the others as they are."""

    def __init__(self, by_role: Mapping[MeterRole, MeterSource]) -> None:
        """Read each role from its own source."""
        self._by_role = dict(by_role)
        self._sources = list({id(source): source for source in by_role.values()}.values())
        self.roles: frozenset[MeterRole] = frozenset(by_role)
        self.immediate = all(source.immediate for source in self._sources)

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> float | SlotEnergy:
        """See ``MeterSource.read``."""
        return self._by_role[role].read(session, slot, horizon, role)

    def revisions(self) -> list[Revision]:
        """See ``RevisingSource.revisions``."""
        return [
            revision
            for source in self._sources
            if isinstance(source, RevisingSource)
            for revision in source.revisions()
        ]

    def start(
        self, clock: ClockConfig, listener: Callable[[Any, dict[str, Any]], None] | None = None
    ) -> None:
        """See ``BackgroundSource.start``."""
        for source in self._sources:
            if isinstance(source, BackgroundSource):
                source.start(clock, listener)

    async def close(self) -> None:
        """See ``BackgroundSource.close``."""
        for source in self._sources:
            if isinstance(source, BackgroundSource):
                await source.close()


def source_of(meter: MeterConfig) -> MeterSource:
    """Open all that a member's built-in meter reads.

    Raises:
        InputError: a source cannot be opened, or does not measure what it is to.
    """
    if not meter.sources:
        return open_source(meter.source, meter)
    opened: dict[str, MeterSource] = {}
    by_role: dict[MeterRole, MeterSource] = {}
    for role in meter.roles:
        text = meter.sources.get(role, meter.source)
        if text not in opened:
            opened[text] = open_source(text, meter)
        roles_to_measure(opened[text], text, meter, [role])
        by_role[role] = opened[text]
    return SeveralSources(by_role)
