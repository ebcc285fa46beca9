"""A random community whose one horizon rolls on: sessions of which only the first slots are operated."""

from __future__ import annotations

from typing import Any

from runtime.configuration import CoordinatorSession, MemberSession
from tests.machines.communities import Community


def rolling(
    seed: int, *, slots: int = 12, planned: int = 8, replan: int = 3, to_the_end: bool = False, **changes: Any
) -> Community:
    """A community with one horizon of ``slots``, cut into sessions.

    Args:
        seed: of the community.
        slots: all there are.
        planned: how many a session plans.
        replan: how many it operates.
        to_the_end: whether every session plans all that are left, whatever ``planned`` says.
        changes: of the community.
    """
    community = Community(seed, slots=slots, sessions=1, **changes)
    (terms,) = community.coordinator_config.sessions
    parts = []
    for offset in range(0, slots, replan):
        last = slots if to_the_end else min(offset + planned, slots)
        parts.append((offset, last, min(replan, slots - offset)))

    def cut(session: Any, offset: int, last: int, operated: int) -> Any:
        horizon = session.horizon
        lists = {name: value[offset:last] for name, value in session if isinstance(value, list)}
        return session.model_copy(
            update={
                **lists,
                "horizon": horizon.model_copy(
                    update={"start": horizon.slot_start(offset), "slots": last - offset}
                ),
                "operated_slots": operated,
                "continues": offset > 0,
            }
        )

    sessions: list[CoordinatorSession] = [cut(terms, *part) for part in parts]
    community.coordinator_config = community.coordinator_config.model_copy(update={"sessions": sessions})
    for number, config in enumerate(community.member_configs):
        (own,) = config.sessions
        theirs: list[MemberSession] = [cut(own, *part) for part in parts]
        community.member_configs[number] = config.model_copy(update={"sessions": theirs})
        (metered,) = community.metered_kwh[config.name]
        community.metered_kwh[config.name] = [
            {role: energies[offset : offset + operated] for role, energies in metered.items()}
            for offset, _, operated in parts
        ]
    return community
