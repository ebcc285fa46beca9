"""The chain of a log, checked line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from runtime.errors import LogError
from runtime.messagelog.record import EVENT_OPENED, FIRST_PREV, FORMAT_VERSION, LogRecord, decode

_BLOCK_BYTES = 1 << 18


def complete_lines(
    path: Path, *, start: int = 0, end: int | None = None, block_bytes: int = _BLOCK_BYTES
) -> Iterator[bytes]:
    """The lines of a log that end in a newline, without it; a torn last line is left out.

    Args:
        path: the log.
        start: offset of a line's first byte to start at [bytes].
        end: offset to stop at, None for the end of the file [bytes].
        block_bytes: how much to read at a time: of many logs that are read at once, less of each [bytes].

    Raises:
        LogError: the file cannot be read.
    """
    position = start
    # Opened anew for each block, so that the logs of a large fleet can be merged without an open file each.
    while block := _read_block(path, position, block_bytes):
        if end is None and block[-1].endswith(b"\n"):
            position += sum(map(len, block))
            for line in block:
                yield line[:-1]
            continue
        for line in block:
            position += len(line)
            if not line.endswith(b"\n") or (end is not None and position > end):
                return
            yield line[:-1]


def blocks_of_lines(path: Path) -> Iterator[list[bytes]]:
    """The lines of ``complete_lines``, many at a time, with their newlines.

    Raises:
        LogError: the file cannot be read.
    """
    position = 0
    while block := _read_block(path, position, _BLOCK_BYTES):
        if not block[-1].endswith(b"\n"):
            block.pop()
            if not block:
                return
        position += sum(map(len, block))
        yield block


def _read_block(path: Path, position: int, size: int) -> list[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.readlines(size)
    except OSError as error:
        raise LogError(f"{path}: cannot read the message log: {error.strerror}") from error


class ChainCheck:
    """Checks the lines of one log as they come, and gives their records.

    Attributes:
        agent: whose log it is, from its first record; empty before.
        next_seq: number of records so far.
        head: hash of the last record.
        checked_bytes: length of the lines so far, with their newlines.
    """

    def __init__(self, path: Path, *, check_hashes: bool = True) -> None:
        self._path = path
        self._check_hashes = check_hashes
        self.agent = ""
        self.next_seq = 0
        self.head = FIRST_PREV
        self.checked_bytes = 0

    def feed(self, line: bytes) -> LogRecord:
        """The record of the next line.

        Args:
            line: the line without its newline.

        Raises:
            LogError: the line is no record, was changed, or does not follow the one before.
        """
        try:
            record = decode(line, self.agent, check_hash=self._check_hashes)
            if self.next_seq == 0:
                record = self._opened(record)
            if record.seq != self.next_seq:
                raise ValueError(f"expected record {self.next_seq}, found record {record.seq}")
            if record.prev != self.head:
                raise ValueError(
                    "does not follow the line before: a line between was removed, added or changed"
                )
        except ValueError as error:
            raise LogError(f"{self._path}, line {self.next_seq + 1}: {error}") from error
        self.next_seq += 1
        self.head = record.hash
        self.checked_bytes += len(line) + 1
        return record

    def _opened(self, record: LogRecord) -> LogRecord:
        data = record.data or {}
        if record.name != EVENT_OPENED or not isinstance(data.get("agent"), str):
            raise ValueError(f"expected the event {EVENT_OPENED!r} that starts a log")
        if data.get("format") != FORMAT_VERSION:
            raise ValueError(f"expected format {FORMAT_VERSION}, found {data.get('format')!r}")
        self.agent = data["agent"]
        return replace(record, agent=self.agent)
