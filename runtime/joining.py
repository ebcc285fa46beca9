"""What a device is handed to join a community as a member's meter: one file that holds all it needs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runtime.configuration import ClockConfig, MeterRole
from runtime.handed_file import HandedFile
from runtime.horizon import Horizon


class Joining(HandedFile):
    """A device's way into a community; who has it can speak for this one meter, and for nothing else.

    Attributes:
        format: of the file.
        member: whose meter it is.
        prosumer: bare JID of the member's agent, the only one that the meter answers.
        account: the meter's account, the part of its JID before the ``@``.
        secret: the account's password.
        roles: what the member has to be metered.
        clock: the community's clock.
        sessions: slots of each session.
    """

    KIND = "join file"

    format: Literal["peerwatt-join/1"] = "peerwatt-join/1"
    member: str = Field(min_length=1)
    prosumer: str = Field(min_length=3)
    account: str = Field(min_length=1)
    secret: str = Field(min_length=1, repr=False)
    roles: list[MeterRole] = Field(min_length=1)
    clock: ClockConfig
    sessions: list[Horizon] = Field(min_length=1)
