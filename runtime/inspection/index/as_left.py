"""An index read as it was left: at once, also while somebody else brings it up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from runtime.inspection.index.store import INDEX_NAME, TEXT_NAME, IndexStore
from runtime.messagelog.reader import log_paths

LOCK_LIMIT_S = 0.05
"""Whoever makes a large part of it keeps others out: they are not to wait for it."""


def open_index_as_left(logs_dir: Path) -> IndexStore | None:
    """Open a folder's index for reading, up to where it was brought last.

    What it says is of one instant, also while somebody else brings it up to date. Any thread may ask it, one
    at a time.

    Args:
        logs_dir: the folder of logs.

    Returns:
        The index; None if there is none, or it does not fit the logs.
    """
    path = logs_dir / INDEX_NAME
    if not path.is_file():
        return None
    try:
        database = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True, timeout=LOCK_LIMIT_S, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
    except sqlite3.Error:
        return None  # it was taken away since, or is not for us to read
    store = IndexStore(database, logs_dir / TEXT_NAME)
    try:
        database.execute("BEGIN")
        if store.open_as_left(log_paths(logs_dir)):
            return store
    except (sqlite3.Error, OSError):
        # Somebody is making it, or it is damaged: whoever brings it up to date makes it anew.
        store.close()
        return None
    store.close()
    return None
