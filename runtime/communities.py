"""Two communities that trade with each other: who belongs where, and who coordinates whom."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from runtime.errors import InputError
from runtime.rundir import COORDINATORS

DEFAULT_NAMES = ("first", "second")
"""Names of the two communities where a scenario names none."""


class CommunityPart(BaseModel):
    """One of the communities of a run.

    Attributes:
        name: as people call it.
        coordinator: local part of its coordinator's account.
        members: names, in the scenario's order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    coordinator: str
    members: list[str] = Field(min_length=1)


def parted(community_of: Mapping[str, str | None]) -> list[CommunityPart]:
    """Members in two communities: those they name, else alternating in the scenario's order.

    The community of the first member comes first; its coordinator leads where one of the two has to.

    Args:
        community_of: by member, in the scenario's order, the community it names, or None.

    Returns:
        Two communities; none at all of a single member, who has nobody to trade with.

    Raises:
        InputError: some members name a community and some do not, or they name another number than two.
    """
    members = list(community_of)
    if len(members) < len(DEFAULT_NAMES):
        return []
    named = {member: name for member, name in community_of.items() if name is not None}
    if not named:
        count = len(DEFAULT_NAMES)
        named = {member: DEFAULT_NAMES[place % count] for place, member in enumerate(members)}
    for place, member in enumerate(members, start=1):
        if member not in named:
            raise InputError(
                f'member[{place}] "{member}" community: found none, expected one as other members have; name '
                "each member's or none"
            )
    names = list(dict.fromkeys(named.values()))
    if len(names) != len(COORDINATORS):
        raise InputError(
            f"member.community: found {len(names)} ({', '.join(names)}), expected two communities for the "
            "mechanism"
        )
    return [
        CommunityPart(
            name=name, coordinator=account, members=[each for each in members if named[each] == name]
        )
        for name, account in zip(names, COORDINATORS, strict=True)
    ]
