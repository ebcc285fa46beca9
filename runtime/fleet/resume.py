"""Going on with a run whose fleet is gone: what has to hold, and where its server listens then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.configured import check_unchanged
from runtime.errors import InputError
from runtime.fleet.lock import logs_being_written, sole_supervisor
from runtime.fleet.lost_logs import check_no_log_is_lost
from runtime.messaging.connection import Connection
from runtime.rundir import RunDirectory
from runtime.xmpp.local import CONNECTION_FILE, free_port

LEAVING_LIMIT_S = 20.0
"""Agents leave by themselves when their supervisor has died; so long they are waited for."""


def check_resumable(directory: RunDirectory, sleep: Callable[[float], None] = time.sleep) -> None:
    """See that a run can be resumed.

    Args:
        directory: the run.
        sleep: waits that long [s], for agents of a supervisor that was killed to leave.

    Raises:
        InputError: it is no run, is finished, is still running, its configuration was changed, or the log of
            an agent is lost.
    """
    check_unchanged(directory)
    if is_finished(directory):
        raise InputError(
            f"{directory.path}: this run is finished; `peerwatt report {directory.path}` prints its results"
        )
    with sole_supervisor(directory):
        waited_s = 0.0
        while writing := logs_being_written(directory):
            if waited_s >= LEAVING_LIMIT_S:
                names = ", ".join(path.stem for path in writing[:5])
                raise InputError(
                    f"{directory.path}: this run is still running: found agents at work on their logs "
                    f"({names}), expected none"
                )
            sleep(0.25)
            waited_s += 0.25
    check_no_log_is_lost(directory)


def is_finished(directory: RunDirectory) -> bool:
    """Whether a run has its record and all its results."""
    return directory.coordinator_record.is_file() and directory.results_sqlite.is_file()


def connection_again(directory: RunDirectory, *, own_server: bool = True) -> Connection | None:
    """Where the run's server is reached now.

    Args:
        directory: the run.
        own_server: the server is the run's own, started again at its old port, which attached meters know, or
            where that is taken, at one of its nodes too, at a free one. One that others run is where it was.

    Returns:
        The connection, or None where the server was never started.
    """
    path = directory.server_dir / CONNECTION_FILE
    if not path.is_file():
        return None
    old = Connection.load(path)
    here = directory.server_dir.absolute()  # the folder of runs may have been moved
    files: dict[str, Any] = {name: here / value.name for name, value in old if isinstance(value, Path)}
    if own_server:
        files["port"] = free_port(old.hosts, old.port)
    return old.model_copy(update=files)
