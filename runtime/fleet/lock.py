"""One supervisor at a time for a run: a lock that the kernel lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import InputError, LogError
from runtime.rundir import RunDirectory

LOOKED_AT_S = 0.1
"""Whoever asks whether a run is supervised is done by then."""

ATTACHED_METER_LOGS = "*.meter2.jsonl"
"""Logs of meters attached by hand: they look for their fleet for a while after it has gone."""


@contextlib.contextmanager
def sole_supervisor(directory: RunDirectory) -> Iterator[None]:
    """Hold a run for this process.

    Args:
        directory: the run.

    Raises:
        InputError: another process supervises it.
        LogError: the lock cannot be made.
    """
    path = directory.lock
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LogError(f"{path}: cannot be made: {error.strerror}") from error
    try:
        held = _lock(descriptor)
        if not held:
            time.sleep(LOOKED_AT_S)
            held = _lock(descriptor)
        if not held:
            raise InputError(f"{directory.path}: this run is still running: another process supervises it")
        yield
    finally:
        os.close(descriptor)


def is_supervised(directory: RunDirectory) -> bool | None:
    """Whether a process supervises a run on this machine; None if none ever did, or that cannot be told.

    Containers of a deployment are supervised by their engine.
    """
    try:
        descriptor = os.open(directory.lock, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None  # a file system without locks
    else:
        return False
    finally:
        os.close(descriptor)


def logs_being_written(directory: RunDirectory) -> list[Path]:
    """Logs that an agent of the run still has open, by name; those of attached meters do not count."""
    attached = set(directory.logs_dir.glob(ATTACHED_METER_LOGS))
    return [
        path for path in sorted(directory.logs_dir.glob("*.jsonl")) if path not in attached and _held(path)
    ]


def _held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
