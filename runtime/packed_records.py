"""Records of what is over, kept small until a run ends: it may go on for months."""

from __future__ import annotations

import os
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from runtime.record_base import Record

R = TypeVar("R", bound=Record)

FAST = 1
"""Level of compression: most of what can be saved, at a tenth of the time of the default."""


class PackedRecords(Generic[R]):
    """Records in order, compressed; each is read again when it is wanted.

    They are in memory, or in a file without a name that is gone with its process: an agent that comes back
    makes them anew, as all else that it knows, from its log.
    """

    def __init__(self, kind: type[R], folder: Path | None = None) -> None:
        """Hold none.

        Args:
            kind: what the records are.
            folder: where the file is; in memory if None.

        Raises:
            OSError: there can be no file in that folder.
        """
        self._kind = kind
        self._packed: list[bytes] = []
        self._ends = array("Q", [0])  # of the records in the file [bytes]
        self._file = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - open as long as this is

    def append(self, record: R) -> None:
        """Take a record.

        Raises:
            OSError: the file cannot be written.
        """
        packed = zlib.compress(record.__pydantic_serializer__.to_json(record), FAST)
        if self._file is None:
            self._packed.append(packed)
            return
        end, descriptor = self._ends[-1], self._file.fileno()
        while packed:
            written = os.pwrite(descriptor, packed, end)
            packed, end = packed[written:], end + written
        self._ends.append(end)

    def __iter__(self) -> Iterator[R]:
        return (self._read(number) for number in range(len(self)))

    def __len__(self) -> int:
        return len(self._packed) if self._file is None else len(self._ends) - 1

    def so_far(self) -> RecordsSoFar[R]:
        """Those held now, without any that come later."""
        return RecordsSoFar(self, len(self))

    def _read(self, number: int) -> R:
        if self._file is None:
            packed = self._packed[number]
        else:
            start, end = self._ends[number : number + 2]
            packed = os.pread(self._file.fileno(), end - start, start)
        return self._kind.model_validate_json(zlib.decompress(packed))


class RecordsSoFar(Generic[R]):
    """The first of some packed records; as often as it is gone through, each is read again."""

    def __init__(self, records: PackedRecords[R], count: int) -> None:
        """See ``PackedRecords.so_far``."""
        self._records = records
        self._count = count

    def __iter__(self) -> Iterator[R]:
        return (self._records._read(number) for number in range(self._count))

    def __len__(self) -> int:
        return self._count
