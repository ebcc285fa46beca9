"""Records of closed sessions, kept small until the run is over: a run may have hundreds of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from runtime.records import SessionRecord

FAST = 1
"""Level of compression: most of what can be saved, at a tenth of the time of the default."""


class ClosedSessions:
    """Session records in order; each is read again when it is wanted."""

    def __init__(self) -> None:
        """Hold none."""
        self._packed: list[bytes] = []

    def append(self, record: SessionRecord) -> None:
        """Take the record of the session that has just been closed."""
        self._packed.append(zlib.compress(record.model_dump_json().encode("utf-8"), FAST))

    def __iter__(self) -> Iterator[SessionRecord]:
        for packed in self._packed:
            yield SessionRecord.model_validate_json(zlib.decompress(packed))

    def __len__(self) -> int:
        return len(self._packed)
