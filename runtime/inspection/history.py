"""The newest messages that a filter lets through: from the index, and from what was written since."""

from __future__ import annotations

import heapq
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.inspection.index.as_left import open_index_as_left
from runtime.inspection.index.query import IndexedMessage, MessageQuery
from runtime.inspection.log_ends import Entry, looked_back
from runtime.messagelog.facts import body_facts
from runtime.messagelog.filters import MessageFilter
from runtime.messagelog.reader import log_paths
from runtime.messagelog.summaries import summarise
from runtime.protocol.envelope import Envelope

MUCH_BYTES = 16_000_000
"""So much that is not indexed takes a while to look through."""
MUCH_SHARE = 0.05
"""So much beside what is indexed is worth another pass over it; each that is kept makes asking slower."""


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, the newest first.

    Attributes:
        rows: JSON-ready.
        complete: whether all that could match was looked at; False if there are older ones, or time was up.
        reached: all written after this was looked at; the next page is what was written before it.
    """

    rows: list[dict[str, Any]]
    complete: bool
    reached: str = ""


class MessageHistory:
    """The messages of a run, as they are now, page by page.

    What the index has is asked there; what was written since is read from the logs' ends. Where that is much,
    a process of its own brings the index up to date.
    """

    def __init__(self, logs_dir: Path) -> None:
        """Look into a folder of logs, which need not be there yet."""
        self._logs_dir = logs_dir
        self._indexing: subprocess.Popen[bytes] | None = None
        self._failed_bytes = 0
        self._guard = threading.Lock()

    def page(
        self,
        criteria: MessageFilter,
        *,
        limit: int,
        after: str = "",
        before: str = "",
        budget_s: float = 2.0,
    ) -> Page:
        """Look for messages from the newest back.

        A message is listed where it was sent, or received if its sender has no log here; what is not in the
        index yet, again where somebody notes something about it.

        Args:
            criteria: which messages.
            limit: how many at most; more only if they were written in one and the same microsecond.
            after: only those written later than this, in the form of ``LogRecord.at``; empty for any.
            before: only those written earlier; empty for any.
            budget_s: time after which the search ends with what was found [s].

        Raises:
            LogError: a message was changed since it was indexed.
            OSError: a log cannot be read.
        """
        ends_s = time.monotonic() + budget_s
        store = open_index_as_left(self._logs_dir)
        paths = log_paths(self._logs_dir)
        if store is None:
            self._index(sum(path.stat().st_size for path in paths), 0)
            return _page(looked_back(paths, {}, criteria, before), limit, after, ends_s)
        with MessageQuery(store, few=True) as query:
            starts = {state.path: state.read_bytes for state in store.states}
            indexed_bytes = sum(starts.values())
            self._index(sum(path.stat().st_size for path in paths) - indexed_bytes, indexed_bytes)
            with closing(query.newest(criteria, after=after, before=before)) as indexed:
                entries = heapq.merge(
                    looked_back(paths, starts, criteria, before),
                    (_entry(found, envelope) for found, envelope in indexed),
                    key=lambda entry: entry[0],
                    reverse=True,
                )
                return _page(entries, limit, after, ends_s)

    def close(self) -> None:
        """End what was begun; an index that is not whole is not taken for one."""
        with self._guard:
            if self._indexing is not None:
                self._indexing.kill()
                self._indexing.wait()
                self._indexing = None

    def _index(self, new_bytes: int, indexed_bytes: int) -> None:
        """Have much that is new indexed, if that is not under way."""
        with self._guard:
            self._index_if_idle(new_bytes, indexed_bytes)

    def _index_if_idle(self, new_bytes: int, indexed_bytes: int) -> None:
        if self._indexing is not None:
            if self._indexing.poll() is None:
                return
            self._failed_bytes = new_bytes if self._indexing.returncode else 0
            self._indexing = None
        much = max(MUCH_BYTES, MUCH_SHARE * indexed_bytes)
        # What could not be indexed is not tried again before there is as much again.
        if new_bytes - self._failed_bytes >= much and os.access(self._logs_dir, os.W_OK):
            self._indexing = subprocess.Popen(
                [sys.executable, "-m", "runtime.inspection.index", str(self._logs_dir)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


def _page(entries: Iterable[Entry], limit: int, after: str, ends_s: float) -> Page:
    rows: list[dict[str, Any]] = []
    for at, row in entries:
        if at <= after:
            return Page(rows, True)
        if row is None:
            if time.monotonic() > ends_s:
                return Page(rows, False, at)
            continue
        if len(rows) >= limit and at != rows[-1]["at"]:
            return Page(rows, False, rows[-1]["at"])
        rows.append(row)
    return Page(rows, True)


def _entry(found: IndexedMessage, envelope: Envelope | None) -> Entry:
    if envelope is None:
        return found.at, None
    first = (found.sent or found.received)[0]
    notes = dict.fromkeys(seen.note for seen in (*found.sent, *found.received) if seen.note)
    return found.at, {
        "at": found.at,
        "agent": first.agent,
        "seq": first.seq,
        "from": found.sender.partition("@")[0],
        "to": found.recipient.partition("@")[0],
        "performative": found.performative,
        "type": found.type or "?",
        "session": found.session,
        "round": found.round,
        "slot": found.slot,
        "id": found.message_id,
        "note": "; ".join(notes) or None,
        "text": summarise(envelope, body_facts(envelope)),
    }
