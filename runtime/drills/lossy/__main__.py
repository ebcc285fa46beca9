"""``runtime.drills.lossy SETTINGS MODULE ARGUMENTS``: runs ``MODULE ARGUMENTS`` with a transport that fails.

Only a drill starts this: an agent's own program knows nothing of it. What is lost here was handed to the
connection, and so was logged as sent, like what is lost on the way.
"""

from __future__ import annotations

import json
import random
import time
from importlib import import_module
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runtime.messaging.agent import ConnectedAgent
from runtime.process import Watcher
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import COORDINATORS


class Lossiness(BaseModel):
    """How messages fare.

    Attributes:
        how: whether they are dropped, or sent twice, or dropped once and carried when they are repeated, or
            dropped between coordinators from an acceptance on.
        share: of messages, drawn one by one; 1 for the last two.
        seconds: how long coordinators are severed [s].
        types: of bodies that are dropped once.
        seed: draws them; each process has one of its own.
        flag: file that is there while messages fare so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: Literal["drop", "duplicate", "drop-once", "sever"]
    share: float = Field(ge=0, le=1)
    types: tuple[str, ...] = ()
    seconds: float = Field(default=0.0, ge=0)
    seed: str
    flag: Path


def make_lossy(settings: Lossiness) -> None:
    """Have all agents of this process send so from now on."""
    rng = random.Random(settings.seed)
    transmit = ConnectedAgent.transmit
    dropped: set[tuple[str, str]] = set()

    if settings.how == "sever":
        _sever(settings)
        return

    def transmit_badly(agent: ConnectedAgent, envelope: Envelope) -> bool:
        if settings.how == "drop-once":
            message = envelope.sender, envelope.message_id
            if message in dropped or not settings.flag.exists() or not _is_one_of(envelope, settings.types):
                return transmit(agent, envelope)
            dropped.add(message)
            return agent.connected
        if not settings.flag.exists() or rng.random() >= settings.share:
            return transmit(agent, envelope)
        if settings.how == "drop":
            return agent.connected
        return transmit(agent, envelope) and transmit(agent, envelope)

    setattr(ConnectedAgent, "transmit", transmit_badly)  # noqa: B010 - a method, by a function


def _sever(settings: Lossiness) -> None:
    """Lose what coordinators say to each other, from the first acceptance that one of them sends."""
    transmit = ConnectedAgent.transmit
    severed = settings.flag.with_name(f"{settings.flag.name}-severed")  # both processes see it

    def transmit_if_whole(agent: ConnectedAgent, envelope: Envelope) -> bool:
        if envelope.recipient.partition("@")[0] not in COORDINATORS or not settings.flag.exists():
            return transmit(agent, envelope)
        try:
            age_s = time.time() - severed.stat().st_mtime
        except FileNotFoundError:
            sent = transmit(agent, envelope)
            if envelope.performative is Performative.ACCEPT_PROPOSAL and agent.local_part in COORDINATORS:
                severed.touch()  # the last that gets through
            return sent
        if age_s > settings.seconds or agent.local_part not in COORDINATORS:
            return transmit(agent, envelope)
        return agent.connected

    setattr(ConnectedAgent, "transmit", transmit_if_whole)  # noqa: B010 - a method, by a function


def _is_one_of(envelope: Envelope, types: tuple[str, ...]) -> bool:
    return json.loads(envelope.body).get("type") in types


def main(arguments: list[str], watcher: Watcher) -> int:
    """Run an agent's program with messages that fare badly; its exit code."""
    settings, module, *rest = arguments
    make_lossy(Lossiness.model_validate_json(settings))
    code: int = import_module(f"{module}.__main__").main(rest, watcher)
    return code
