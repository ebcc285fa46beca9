"""Reading the logs of a run: one, all in the order of time, or as they grow."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from runtime.errors import LogError
from runtime.messagelog.chain import ChainCheck, complete_lines
from runtime.messagelog.record import LogRecord

LOG_PATTERN = "*.jsonl"
"""Names of the logs in a run's folder of logs."""


def log_paths(logs_dir: Path) -> list[Path]:
    """List the logs in a run's folder of logs by name; none if the folder is missing."""
    return sorted(logs_dir.glob(LOG_PATTERN))


def read_log(path: Path, *, check_hashes: bool = True) -> Iterator[LogRecord]:
    """Read one log; a last line without newline (being written, or torn by a crash) is left out.

    Args:
        path: the log.
        check_hashes: whether to recompute each record's hash. That records follow each other is always
            checked.

    Raises:
        LogError: the file cannot be read, or a line was changed, removed or added; names file and line.
    """
    check = ChainCheck(path, check_hashes=check_hashes)
    for line in complete_lines(path):
        yield check.feed(line)


def merge(paths: Iterable[Path], *, check_hashes: bool = True) -> Iterator[LogRecord]:
    """Read many logs in the order of time, each log's own order kept.

    Where an agent's wall clock was set back, its records come no earlier than those it wrote before.
    Records of the same instant come in the order of ``paths``.

    Args:
        paths: the logs.
        check_hashes: as in ``read_log``.

    Raises:
        LogError: as ``read_log``.
    """
    return in_order_of_time([read_log(path, check_hashes=check_hashes) for path in paths])


def in_order_of_time(logs: Iterable[Iterable[LogRecord]]) -> Iterator[LogRecord]:
    """Merge records of several logs as ``merge`` does; each log's records in their own order."""
    return heapq.merge(*logs, key=lambda record: record.at)


def follow(
    paths: Path | Iterable[Path],
    stop: Callable[[], bool],
    *,
    poll_s: float = 0.2,
    check_hashes: bool = True,
    sleep: Callable[[float], None] = time.sleep,
    known: Mapping[Path, ChainCheck] | None = None,
) -> Iterator[LogRecord]:
    """Yield what the logs hold, then new records as they are written and as new logs appear.

    Records that become visible in the same look are in the order of time; between looks they are in the
    order they were met. Once ``stop`` says so, what is there is still yielded.

    Args:
        paths: a run's folder of logs (which need not exist yet), or the logs to follow.
        stop: asked before each look; True ends after that look.
        poll_s: time between two looks [s].
        check_hashes: as in ``read_log``.
        sleep: waits that long.
        known: how far logs are known already: only what comes after that is yielded.

    Raises:
        LogError: as ``read_log``, or a log became shorter than what was read of it.
    """
    named = None if isinstance(paths, Path) else list(paths)
    checks: dict[Path, ChainCheck] = dict(known or {})
    while True:
        last = stop()
        present = (
            log_paths(paths) if isinstance(paths, Path) else [path for path in named or [] if path.exists()]
        )
        news = []
        for path in present:
            check = checks.setdefault(path, ChainCheck(path, check_hashes=check_hashes))
            size_bytes = _size_bytes(path)
            if size_bytes < check.checked_bytes:
                raise LogError(f"{path}: became shorter while it was read: it was cut or replaced")
            if size_bytes > check.checked_bytes:
                news.append(_new_records(path, check))
        yield from in_order_of_time(news)
        if last:
            return
        sleep(poll_s)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise LogError(f"{path}: cannot read the message log: {error.strerror}") from error


def _new_records(path: Path, check: ChainCheck) -> Iterator[LogRecord]:
    for line in complete_lines(path, start=check.checked_bytes):
        yield check.feed(line)
