"""When a fault strikes: a seeded moment after a step of the market that the coordinator tells."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from runtime.errors import PeerwattError

MarketPhase = Literal["negotiating", "operating"]

STEP_OF: dict[MarketPhase, str] = {"negotiating": "round", "operating": "slot"}
"""What the coordinator tells as it goes through a phase."""

LONGEST_DELAY_S = 0.1

Step = tuple[int, int]
"""Session and number of a round, or of a slot."""


class Moment(BaseModel):
    """A moment of a run.

    Attributes:
        phase: of the market session.
        session: its number, from 0.
        number: of the round that was opened, or of the slot whose deliveries were asked for.
        delay_s: how long after that [s].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: MarketPhase
    session: int = Field(ge=0)
    number: int = Field(ge=0)
    delay_s: float = Field(ge=0)

    def is_told_by(self, phase: str, detail: dict[str, Any]) -> bool:
        """Whether a step that the coordinator tells is the one before this moment."""
        step = STEP_OF[self.phase]
        return phase == step and (detail["session"], detail[step]) == (self.session, self.number)

    def __str__(self) -> str:
        """Say when, for a table: rounds and slots as they are numbered in the results."""
        session = f"session {self.session + 1} " if self.session else ""
        return f"{session}{STEP_OF[self.phase]} {self.number} +{1000 * self.delay_s:.0f} ms"


def draw_moment(steps: Sequence[Step], phase: MarketPhase, rng: random.Random) -> Moment:
    """Draw a moment of a phase, neither its first step nor, where there are enough, its last ones.

    Args:
        steps: the rounds, or slots, of an undisturbed run.
        phase: negotiating for rounds, operating for slots.
        rng: seeded.

    Raises:
        PeerwattError: the run had no such step.
    """
    if not steps:
        raise PeerwattError(f"the undisturbed run told of no {STEP_OF[phase]}: nothing to disturb")
    inner = [step for step in steps[1 : len(steps) * 2 // 3] if step[1] > 0]
    session, number = rng.choice(inner or list(steps))
    return Moment(
        phase=phase, session=session, number=number, delay_s=round(rng.uniform(0.0, LONGEST_DELAY_S), 3)
    )
