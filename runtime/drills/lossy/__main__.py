"""``runtime.drills.lossy SETTINGS MODULE ARGUMENTS``: runs ``MODULE ARGUMENTS`` with a transport that fails.

Only a drill starts this: an agent's own program knows nothing of it. What is lost here was handed to the
connection, and so was logged as sent, like what is lost on the way.
"""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runtime.messaging.agent import ConnectedAgent
from runtime.process import Watcher
from runtime.protocol.envelope import Envelope


class Lossiness(BaseModel):
    """How messages fare.

    Attributes:
        how: whether they are dropped, or sent twice.
        share: of messages, drawn one by one.
        seed: draws them; each process has one of its own.
        flag: file that is there while messages fare so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: Literal["drop", "duplicate"]
    share: float = Field(ge=0, le=1)
    seed: str
    flag: Path


def make_lossy(settings: Lossiness) -> None:
    """Have all agents of this process send so from now on."""
    rng = random.Random(settings.seed)
    transmit = ConnectedAgent.transmit

    def transmit_badly(agent: ConnectedAgent, envelope: Envelope) -> bool:
        if not settings.flag.exists() or rng.random() >= settings.share:
            return transmit(agent, envelope)
        if settings.how == "drop":
            return agent.connected
        return transmit(agent, envelope) and transmit(agent, envelope)

    setattr(ConnectedAgent, "transmit", transmit_badly)  # noqa: B010 - a method, by a function


def main(arguments: list[str], watcher: Watcher) -> int:
    """Run an agent's program with messages that fare badly; its exit code."""
    settings, module, *rest = arguments
    make_lossy(Lossiness.model_validate_json(settings))
    code: int = import_module(f"{module}.__main__").main(rest, watcher)
    return code
