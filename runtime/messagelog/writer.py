"""What an agent writes its message log with: each record is in the kernel before the agent acts on it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runtime.errors import LogError
from runtime.messagelog.chain import ChainCheck, complete_lines
from runtime.messagelog.record import (
    EVENT_CONTINUED,
    EVENT_OPENED,
    EVENT_TORN_LINE,
    FORMAT_VERSION,
    LogRecord,
    RecordKind,
    encode_event,
    encode_message,
    utc_now,
)
from runtime.protocol.envelope import Envelope


class MessageLog:
    """An agent's open log. Made by ``open``; one process at a time, one thread at a time.

    A log survives what its agent does not: it is continued by the agent's next process, which replays
    ``records()`` before it takes part again.
    """

    def __init__(
        self,
        path: Path,
        agent: str,
        descriptor: int,
        check: ChainCheck,
        *,
        fsync: bool,
        now: Callable[[], str],
    ) -> None:
        """Use ``open`` instead."""
        self.path = path
        self.agent = agent
        self._descriptor = descriptor
        self._fsync = fsync
        self._now = now
        self._seq = check.next_seq
        self._prev = check.head
        self._end = check.checked_bytes
        self._bytes_at_open = check.checked_bytes

    @classmethod
    def open(
        cls, path: Path, agent: str, *, fsync: bool = False, now: Callable[[], str] = utc_now
    ) -> MessageLog:
        """Create the log, or continue the one that is there.

        A last line without its newline is what a crash in the middle of a write leaves: nothing was acted
        on for it, so it is cut, and kept as the data of an event ``torn-line-removed``.

        Args:
            path: the file; missing folders are made.
            agent: whose log it is; written in its first record.
            fsync: whether each append waits for the disk, so that it outlives the machine's crash too.
            now: gives the wall clock in the form of ``utc_now``.

        Raises:
            LogError: another process has the log open, its chain is broken before the last line, it is
                another agent's, or it cannot be read or written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise LogError(f"{path}: cannot open the message log: {error.strerror}") from error
        try:
            _lock(descriptor, path)
            if fsync:
                _sync_folder(path.parent)
            check = ChainCheck(path)
            for line in complete_lines(path):
                check.feed(line)
            if check.next_seq and check.agent != agent:
                raise LogError(f"{path}: is the log of {check.agent!r}, expected one of {agent!r}")
            log = cls(path, agent, descriptor, check, fsync=fsync, now=now)
            log._begin()
        except BaseException:
            os.close(descriptor)
            raise
        return log

    def append_in(self, envelope: Envelope, note: str | None = None) -> int:
        """Record a received message; on return the kernel (the disk, with ``fsync``) has it.

        Args:
            envelope: the message.
            note: ``duplicate``, or why it was refused; None for a message that takes effect.

        Returns:
            The record's place in the log.

        Raises:
            LogError: the log is closed or cannot be written; nothing of the record stays in it.
        """
        return self._append_message(RecordKind.IN, envelope, note)

    def append_out(self, envelope: Envelope, note: str | None = None) -> int:
        """Record a message about to be sent (``note="resent"`` if it was sent before); as ``append_in``."""
        return self._append_message(RecordKind.OUT, envelope, note)

    def append_sent(self, envelopes: Sequence[Envelope]) -> None:
        """Record messages about to be sent for the first time, all with one write (and one ``fsync``).

        Raises:
            LogError: as ``append_in``; nothing of any of the records stays in the log.
        """
        lines, prev = [], self._prev
        for place, envelope in enumerate(envelopes, self._seq):
            line, prev = encode_message(place, self._now(), RecordKind.OUT, envelope, None, prev)
            lines.append(line)
        self._write(b"".join(lines), prev, len(lines))

    def append_event(self, name: str, data: Mapping[str, Any]) -> int:
        """Record something else that happened; as ``append_in``.

        Raises:
            LogError: as ``append_in``.
            TypeError: ``data`` holds something JSON has no form for.
            ValueError: ``data`` holds NaN or an infinity.
        """
        return self._write(*encode_event(self._seq, self._now(), name, data, self._prev))

    def records(self) -> Iterator[LogRecord]:
        """What was in the log when it was opened, in order, to be replayed after a crash.

        Records of this opening itself (``log-continued``, ``torn-line-removed``) are not among them.
        """
        check = ChainCheck(self.path)
        for line in complete_lines(self.path, end=self._bytes_at_open):
            yield check.feed(line)

    def now(self) -> str:
        """The time as records have it."""
        return self._now()

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._descriptor < 0

    @property
    def head(self) -> tuple[int, str]:
        """Number of records so far and hash of the last: whoever knows it can tell if records are cut off."""
        return self._seq, self._prev

    def close(self) -> None:
        """Let go of the file and its lock; closing twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        torn = os.pread(self._descriptor, os.fstat(self._descriptor).st_size - self._end, self._end)
        if torn:
            os.ftruncate(self._descriptor, self._end)
        if self._seq == 0:
            self.append_event(EVENT_OPENED, {"agent": self.agent, "format": FORMAT_VERSION})
        else:
            self.append_event(EVENT_CONTINUED, {"agent": self.agent, "format": FORMAT_VERSION})
        if torn:
            self.append_event(
                EVENT_TORN_LINE, {"bytes": len(torn), "text": torn.decode("ascii", "backslashreplace")}
            )

    def _append_message(self, kind: RecordKind, envelope: Envelope, note: str | None) -> int:
        return self._write(*encode_message(self._seq, self._now(), kind, envelope, note, self._prev))

    def _write(self, lines: bytes, digest: str, records: int = 1) -> int:
        if self._descriptor < 0:
            raise LogError(f"{self.path}: the message log is closed")
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
            if self._fsync:
                os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._end)
            raise LogError(f"{self.path}: cannot write the message log: {error.strerror}") from error
        self._end += len(lines)
        self._prev = digest
        self._seq += records
        return self._seq - 1


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise LogError(f"{path}: another process is writing this message log") from error
        raise LogError(f"{path}: cannot lock the message log: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
