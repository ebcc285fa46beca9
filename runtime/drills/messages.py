"""Messages that get lost, or arrive twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import ClassVar, Literal

from runtime.drills.base import Fault
from runtime.drills.lossy.__main__ import Lossiness
from runtime.drills.moments import MarketPhase, Moment, Step

SHARE, SECONDS = 0.3, 3.0

SEVERED_S = 50.0
"""Longer than a confirmation is waited for with a drill's deadline for deliveries, shorter than the close."""

LAST_WORDS = ("bill-line", "session-closed")
"""What a coordinator says last."""


class _Lossy(Fault):
    """A fault of every agent's messages, for some rounds or slots."""

    how: ClassVar[Literal["drop", "duplicate"]]

    def program(self, name: str, module: str, arguments: list[str]) -> tuple[str, list[str]]:
        """Start the agent's program by way of one that spoils its transport."""
        settings = Lossiness(
            how=self.how, share=SHARE, seed=f"{self.struck.seed}-{name}", flag=self.struck.flag.absolute()
        )
        return "runtime.drills.lossy", [settings.model_dump_json(), module, *arguments]

    def strike(self) -> None:
        """Begin, and end after a while."""
        self.struck.flag.touch()
        ending = threading.Timer(SECONDS, self.over)
        ending.daemon = True
        ending.start()

    def over(self) -> None:
        """End."""
        self.struck.flag.unlink(missing_ok=True)


class Drop(_Lossy):
    """Messages get lost."""

    name = how = "drop"
    does = f"of all agents' messages {SHARE:.0%} get lost, for {SECONDS:g} s"


class Duplicate(_Lossy):
    """Messages arrive twice."""

    name = how = "duplicate"
    does = f"of all agents' messages {SHARE:.0%} arrive twice, for {SECONDS:g} s"


class DropLast(Fault):
    """What members are told last gets lost, when nobody speaks any more."""

    name = "drop-last"
    phases = ("operating",)
    does = "the last slot's bill lines and the bills get lost once each, as the market closes"

    def program(self, name: str, module: str, arguments: list[str]) -> tuple[str, list[str]]:
        """Start the agent's program by way of one that spoils its transport."""
        settings = Lossiness(
            how="drop-once", share=1.0, types=LAST_WORDS, seed=name, flag=self.struck.flag.absolute()
        )
        return "runtime.drills.lossy", [settings.model_dump_json(), module, *arguments]

    @classmethod
    def moment(cls, steps: Sequence[Step], phase: MarketPhase, rng: random.Random) -> Moment:
        """The last slot but one, so that the last is hit whole."""
        session, number = steps[max(0, len(steps) - 2)]
        return Moment(phase=phase, session=session, number=number, delay_s=0.0)

    def strike(self) -> None:
        """Begin; it ends with the run."""
        self.struck.flag.touch()

    def over(self) -> None:
        """End."""
        self.struck.flag.unlink(missing_ok=True)


class Sever(Fault):
    """Two coordinators lose each other at the worst moment."""

    name = "sever"
    does = (
        f"two communities' coordinators are cut off from each other for {SEVERED_S:g} s, just after one has "
        "accepted a slot's exchange; it settles that slot when it hears that the other has traded in it"
    )
    loses = loses_messages = True
    phases = ("operating",)
    needs_two_communities = True

    def program(self, name: str, module: str, arguments: list[str]) -> tuple[str, list[str]]:
        """Start the coordinators' programs by way of one that spoils their transport."""
        if name not in self.struck.coordinators:
            return module, arguments
        settings = Lossiness(
            how="sever", share=1.0, seconds=SEVERED_S, seed=name, flag=self.struck.flag.absolute()
        )
        return "runtime.drills.lossy", [settings.model_dump_json(), module, *arguments]

    def strike(self) -> None:
        """Begin; it ends by itself."""
        self.struck.flag.touch()
