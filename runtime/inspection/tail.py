"""Log lines as they are written: all that is there in the order of time, then what is new."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtime.messagelog.chain import complete_lines
from runtime.messagelog.reader import log_paths

_AT = b'"at":"'
_AT_LENGTH = 27
_BLOCK_BYTES = 1 << 15

Line = tuple[str, str, bytes]
"""When it was written, in which log (its agent's name), and the line."""


def written_at(line: bytes) -> str:
    """When a log's line was written; empty if it does not say."""
    place = line.find(_AT, 0, 40) + len(_AT)
    return line[place : place + _AT_LENGTH].decode("ascii", "replace") if place >= len(_AT) else ""


class LogTail:
    """Follows a folder of logs, also those that appear later; no line is kept."""

    def __init__(self, logs_dir: Path, read_bytes: Mapping[Path, int] | None = None) -> None:
        """Follow ``logs_dir``; of each log, ``read_bytes`` were read before."""
        self._logs_dir = logs_dir
        self._read_bytes: dict[Path, int] = dict(read_bytes or {})
        self._present_bytes: dict[Path, int] = dict(self._read_bytes)
        self._lines: Iterator[Line] = iter(())

    def look(self, budget_s: float) -> Iterator[Line]:
        """Lines that were not given before, until there are none or the time is up.

        Args:
            budget_s: time to spend [s]; the next look goes on where this one ended.

        Raises:
            LogError: a log cannot be read.
        """
        ends_s = time.monotonic() + budget_s
        for line in self._lines:
            yield line
            if time.monotonic() > ends_s:
                return
        news = []
        for path in log_paths(self._logs_dir):
            size_bytes = path.stat().st_size
            if size_bytes != self._present_bytes.get(path):
                self._present_bytes[path] = size_bytes
                news.append(self._new_lines(path))
        self._lines = heapq.merge(*news, key=lambda line: line[0])
        for line in self._lines:
            yield line
            if time.monotonic() > ends_s:
                return

    @property
    def read_bytes(self) -> dict[Path, int]:
        """How much of each log was given; where a look ended with its time, up to a line of each more."""
        return dict(self._read_bytes)

    @property
    def read_share(self) -> float:
        """Share of the logs' bytes read so far."""
        present = sum(self._present_bytes.values())
        return min(1.0, sum(self._read_bytes.values()) / present) if present else 1.0

    def _new_lines(self, path: Path) -> Iterator[Line]:
        agent, read_bytes = path.stem, self._read_bytes
        read_bytes.setdefault(path, 0)
        for line in complete_lines(path, start=read_bytes[path], block_bytes=_BLOCK_BYTES):
            read_bytes[path] += len(line) + 1
            yield written_at(line), agent, line
