"""How a deployment's members are spread over containers; kept with it, for who hands out secrets later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field

from runtime.configuration import Configuration
from runtime.deployment.holders import prosumer
from runtime.errors import InputError
from runtime.fleet.packing import workers_of


class Placement(Configuration):
    """How members share containers.

    Attributes:
        members_per_container: that one container's process serves, at most.
        elsewhere: members that run on hosts of their own, and share with nobody.
    """

    members_per_container: int = Field(default=1, ge=1)
    elsewhere: list[str] = Field(default_factory=list)

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        """What was kept; one member a container where nothing was.

        Raises:
            InputError: the file is damaged.
        """
        return cls.load(path) if path.is_file() else cls()

    def prosumers(self, members: Sequence[str]) -> dict[str, list[str]]:
        """Processes that serve members, by holder: ``prosumer-MEMBER``, or ``prosumers-NUMBER`` for several.

        Args:
            members: all of them, in the scenario's order, which is kept.
        """
        here = [member for member in members if member not in self.elsewhere]
        shared = workers_of(here, self.members_per_container)
        if self.members_per_container == 1:
            shared = {prosumer(member): [member] for member in here}
        return {**shared, **{prosumer(member): [member] for member in members if member in self.elsewhere}}


def placed(members_per_container: int, elsewhere: Sequence[str]) -> Placement:
    """A placement as options ask for it.

    Raises:
        InputError: fewer than one member a container.
    """
    if members_per_container < 1:
        raise InputError(f"--members-per-container: found {members_per_container}, expected at least 1")
    return Placement(members_per_container=members_per_container, elsewhere=[*elsewhere])
