"""Messages that get lost, or arrive twice."""

from __future__ import annotations

import threading
from typing import ClassVar, Literal

from runtime.drills.base import Fault
from runtime.drills.lossy.__main__ import Lossiness

SHARE, SECONDS = 0.3, 3.0


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
