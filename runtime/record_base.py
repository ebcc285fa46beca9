"""What every record shares."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from runtime.files import write_text_atomically

Quality = Literal["metered", "estimated", "missing"]
"""How a slot's energy was come by: read from meters, put in by the prosumer for want of a reading, or not
delivered at all before the deadline (the coordinator then settles the agreed position)."""


class Record(BaseModel):
    """Base of what is recorded: immutable, closed, saved as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: Path) -> None:
        """Write to ``path`` whole or not at all."""
        write_text_atomically(path, self.model_dump_json())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote."""
        return cls.model_validate_json(path.read_bytes())
