"""What the fleet aims at on two cores, held against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.bench.size import SizeFigures

READY_LIMIT_S = {100: 10.0, 300: 30.0}
"""By number of members, each with a process."""

USS_LIMIT_MIB = 25.0
TIMES_PLAIN_LIMIT = 2.0
DAY_LIMIT_S = 12.0
FURTHER_USS_LIMIT_MIB = 1.0
PACKED_ROUND_LIMIT_S = 1.0


@dataclass(frozen=True)
class Aim:
    """One aim.

    Attributes:
        what: is measured, with its unit.
        limit: at most.
        found: the figure.
    """

    what: str
    limit: float
    found: float

    @property
    def met(self) -> bool:
        """Whether the figure keeps the limit."""
        return self.found <= self.limit


def aims_of(sizes: Sequence[SizeFigures], day_s: float | None) -> list[Aim]:
    """The aims that what was measured says something about; times are medians, memory is the greatest."""
    aims = []
    for size in sizes:
        if size.packed:
            who = f"{size.members} members, {size.members_per_process} a process"
            further = Aim(f"{who}: each further one, USS [MiB]", FURTHER_USS_LIMIT_MIB, size.member_uss_mib)
            aims += [
                further,
                Aim(f"{who}: a round without solving [s]", PACKED_ROUND_LIMIT_S, size.round_s.median),
            ]
            continue
        who = f"{size.members} prosumers"
        if size.members in READY_LIMIT_S:
            aims.append(Aim(f"{who} ready [s]", READY_LIMIT_S[size.members], size.ready_s.median))
        aims.append(Aim(f"{who}: each, USS [MiB]", USS_LIMIT_MIB, size.memory["prosumer"].uss_mib.max))
        if "plain" in size.beside:
            aims.append(
                Aim(
                    f"{who}: a round, solving aside, in rounds of plain slixmpp",
                    TIMES_PLAIN_LIMIT,
                    size.beside["plain"].fleet_times,
                )
            )
    if day_s is not None:
        aims.append(Aim("day of 4 members and 144 slots, command to results [s]", DAY_LIMIT_S, day_s))
    return aims
