"""Records of what is over, kept small until a run ends: it may go on for months."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from runtime.files import write_bytes_atomically, write_parts_atomically
from runtime.record_base import Record

R = TypeVar("R", bound=Record)

FAST = 1
"""Level of compression: most of what can be saved, at a tenth of the time of the default."""

GZIP = 31
"""What zlib calls the format of gzip, so that `zcat` reads a file too."""

SUFFIX = ".json.gz"


class PackedRecords(Generic[R]):
    """Records in order, compressed; each is read again when it is wanted.

    They are in memory, or in a folder, a file each, where others may read what is over while the run goes on.
    An agent that comes back makes them anew, as all else that it knows, from its log, and writes the same
    files again.
    """

    def __init__(self, kind: type[R], folder: Path | None = None) -> None:
        """Hold none.

        Args:
            kind: what the records are.
            folder: where the files are; in memory if None.

        Raises:
            OSError: there can be no such folder.
        """
        self._kind = kind
        self._packed: list[bytes] = []
        self._folder = folder
        self._count = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def append(self, record: R) -> None:
        """Take a record.

        Raises:
            OSError: its file cannot be written.
        """
        packed = zlib.compress(record.__pydantic_serializer__.to_json(record), FAST, wbits=GZIP)
        if self._folder is None:
            self._packed.append(packed)
        else:
            write_bytes_atomically(packed_path(self._folder, self._count), packed)
        self._count += 1

    def __iter__(self) -> Iterator[R]:
        return (self._read(number) for number in range(len(self)))

    def __len__(self) -> int:
        return self._count

    def so_far(self) -> RecordsSoFar[R]:
        """Those held now, without any that come later."""
        return RecordsSoFar(self, len(self))

    def _read(self, number: int) -> R:
        if self._folder is not None:
            return read_packed(self._kind, packed_path(self._folder, number))
        return self._kind.model_validate_json(self._text(number))

    def _text(self, number: int) -> bytes:
        """The record as JSON."""
        if self._folder is not None:
            return _unpacked(packed_path(self._folder, number))
        return zlib.decompress(self._packed[number], GZIP)


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

    def texts(self) -> Iterator[bytes]:
        """Each as JSON, in order, without being made into a record.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is damaged.
        """
        return (self._records._text(number) for number in range(self._count))


@dataclass(frozen=True, slots=True)
class RecordOfMany(Generic[R]):
    """A record with a list of many that are over: they are read one by one as it is written.

    All at once a month's sessions would take hundreds of megabytes as objects, at the end of a run that had
    done with far less.

    Attributes:
        rest: the record without them.
        name: of its field that is the list.
        many: the records that are to be in it.
    """

    rest: Record
    name: str
    many: RecordsSoFar[R]

    def save(self, path: Path) -> None:
        """Write to ``path`` whole or not at all, as ``Record.save``.

        Raises:
            OSError: the file cannot be written, or one of the many cannot be read.
        """
        write_parts_atomically(path, self._parts())

    def whole(self) -> Record:
        """The record with all that is in it."""
        return self.rest.model_copy(update={self.name: list(self.many)})

    def _parts(self) -> Iterator[bytes]:
        rest = self.rest.model_dump_json(exclude={self.name}).removesuffix("}")
        yield f'{rest},"{self.name}":['.encode()
        for number, text in enumerate(self.many.texts()):
            yield b"," + text if number else text
        yield b"]}"


def packed_path(folder: Path, number: int) -> Path:
    """File of the record with this number, from 0."""
    return folder / f"{number:06d}{SUFFIX}"


def packed_paths(folder: Path) -> list[Path]:
    """Files of the records in a folder, in order; none if it is missing."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_packed(kind: type[R], path: Path) -> R:
    """Read one record of a folder.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or of another version.
    """
    return kind.model_validate_json(_unpacked(path))


def _unpacked(path: Path) -> bytes:
    try:
        return zlib.decompress(path.read_bytes(), GZIP)
    except zlib.error as error:
        raise ValueError(f"not whole: {error}") from error
