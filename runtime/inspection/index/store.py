"""Keeps the index in an SQLite file beside the logs, and brings it up to date with them."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.inspection.index.build import Builder
from runtime.inspection.index.entries import EventEntry, Key, LateSighting, LogState, MessageEntry, Pass
from runtime.inspection.index.schema import SCHEMA
from runtime.messagelog.reader import log_paths
from runtime.messagelog.record import FIRST_PREV

INDEX_NAME, TEXT_NAME = ".messages.sqlite", ".messages.ngrams"
"""Files of the index in the folder of logs."""

VERSION = 2
MOST_PASSES = 64
"""After so many passes over new records the index is made anew, in one."""

KEPT_PLACES = 5000
"""What so many latest messages are about is kept for the next pass."""

LOCK_LIMIT_S = 600.0
_ROWS_AT_ONCE = 2000


class IndexStore:
    """The index of one folder of logs. Made by ``open_index``; up to date then.

    Attributes:
        database: its tables.
        text_path: bits of the blocks of text.
        logs: path and agent of each log, by number.
        states: how far each log is indexed.
        names: names by number.
        is_kept: whether it stays for the next time.
    """

    is_kept = True

    def __init__(self, database: sqlite3.Connection, text_path: Path) -> None:
        """Use ``open_index`` instead."""
        self.database = database
        self.text_path = text_path
        self.logs: dict[int, tuple[Path, str]] = {}
        self.states: list[LogState] = []
        self.names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Let go of the files."""
        self.database.close()
        if not self.is_kept:
            shutil.rmtree(self.text_path.parent, ignore_errors=True)

    # -- bringing up to date ---------------------------------------------------------------------------

    def update(self, paths: list[Path], telling: Callable[[int], None]) -> bool:
        """Index what is new in the logs.

        Args:
            paths: the logs.
            telling: told how many bytes are to be read, before they are.

        Returns:
            False if what was indexed is no longer what the logs hold: the index has to be made anew.

        Raises:
            LogError: a log cannot be read, or its chain is broken.
        """
        states = self._states(paths)
        if states is None:
            return False
        self._load_names()
        new = sum(path.stat().st_size for path in paths) - sum(state.read_bytes for state in states)
        if new:
            if self._one("SELECT COUNT(*) FROM passes") >= MOST_PASSES:
                return False
            telling(new)
            self._pass(states)
        self._know(states)
        return True

    def open_as_left(self, paths: list[Path]) -> bool:
        """Read how far the logs were indexed, and index nothing.

        Returns:
            False if what was indexed is not, or no longer, what the logs hold.
        """
        if self.database.execute("SELECT version FROM meta").fetchone() != (VERSION,):
            return False
        states = self._states(paths)
        if states is None:
            return False
        self._load_names()
        self._know(states)
        return True

    def _know(self, states: list[LogState]) -> None:
        self.states = states
        self.logs = {state.number: (state.path, state.agent) for state in states}

    def _states(self, paths: list[Path]) -> list[LogState] | None:
        """How far each log is indexed; None if an indexed part was changed, or a log is gone."""
        states: list[LogState] = []
        known = {row[1]: row for row in self.database.execute("SELECT * FROM logs")}
        if known.keys() - {path.name for path in paths}:
            return None
        unknown = itertools.count(len(known))
        for path in paths:
            row = known.get(path.name)
            if row is None:
                states.append(LogState(next(unknown), path))
                continue
            state = LogState(row[0], path, *row[2:])
            file = path.stat()
            unchanged = file.st_size == state.read_bytes and file.st_mtime_ns == state.written_ns
            grown = file.st_size > state.read_bytes and _ends_with(path, state)
            if not unchanged and not grown:
                return None
            states.append(state)
        return sorted(states, key=lambda state: state.number)

    def _pass(self, states: list[LogState]) -> None:
        from runtime.inspection.index.ngrams import ROW_BYTES, block_bits  # needs numpy

        database = self.database
        rows: list[tuple[Any, ...]] = []

        def flush() -> None:
            database.executemany(f"INSERT INTO message VALUES ({', '.join('?' * 21)})", rows)
            rows.clear()

        def message(entry: MessageEntry) -> None:
            rows.append(self._row(entry))
            if len(rows) >= _ROWS_AT_ONCE:
                flush()

        def late(seen: LateSighting) -> None:
            sender, message_id = seen.key
            database.execute(
                "INSERT INTO late VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._number(sender), message_id, seen.log, seen.seq, seen.at, seen.sent, seen.note),
            )

        def event(entry: EventEntry) -> None:
            database.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?)", (entry.at, entry.log, entry.offset, entry.length)
            )

        blocks = self._one("SELECT COUNT(*) FROM blocks")
        first = self._one("SELECT COALESCE(MAX(next), 0) FROM passes")
        with self.text_path.open("r+b" if self.text_path.exists() else "w+b") as bits:
            bits.truncate(blocks * ROW_BYTES)
            bits.seek(0, 2)

            def block(text: bytes, number: int) -> None:
                bits.write(block_bits(text))
                database.execute("INSERT INTO blocks (first) VALUES (?)", (number,))

            builder = Builder(Pass(message, late, event, block), first)
            for sender, message_id, *place in database.execute("SELECT * FROM places"):
                builder.places[sender, message_id] = (place[0], place[1], place[2])
            noted_only = "SELECT sender, id FROM message WHERE from_receipt AND received_log IS NULL"
            builder.noted_only = {(self.names[sender], name) for sender, name in database.execute(noted_only)}
            present = {state.path.stem for state in states} | {state.agent for state in states}
            between = builder.run(states, present)
            flush()
            self._noted(first, between)
            unknown = self._unknown(set(builder.early))
            last = builder.orphans({key for key in unknown if not _being_written(key, states)})
            flush()
            self._noted(between, last)
        for (sender, message_id), receipt in builder.early.items():
            seen = (receipt.log.number, receipt.seq, receipt.at)
            late(LateSighting((sender, message_id), *seen, False, receipt.note))
        self._save(states, builder)

    def _unknown(self, keys: set[Key]) -> set[Key]:
        """Those of some messages that are not in the index."""
        if not keys:
            return set()
        self.database.execute("CREATE TEMP TABLE asked (sender INTEGER, id TEXT)")
        self.database.executemany(
            "INSERT INTO asked VALUES (?, ?)", [(self._number(sender), name) for sender, name in keys]
        )
        found = self.database.execute(
            "SELECT message.sender, message.id FROM message JOIN asked USING (sender, id)"
        )
        known = {(self.names[sender], message_id) for sender, message_id in found}
        self.database.execute("DROP TABLE asked")
        return keys - known

    def _noted(self, first: int, following: int) -> None:
        if following > first:
            self.database.execute("INSERT INTO passes VALUES (?, ?)", (first, following))

    def _save(self, states: list[LogState], builder: Builder) -> None:
        database = self.database
        database.execute("DELETE FROM logs")
        for state in states:
            file = state.path.stat()
            if file.st_size == state.read_bytes:
                state.written_ns = file.st_mtime_ns
            database.execute(
                "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    state.number, state.path.name, state.read_bytes, state.next_seq, state.head, state.agent,
                    state.written_ns,
                ),
            )  # fmt: skip
        database.execute("DELETE FROM places")
        latest = list(builder.places.items())[-KEPT_PLACES:]
        database.executemany("INSERT INTO places VALUES (?, ?, ?, ?, ?)", [(*key, *at) for key, at in latest])

    # -- names -----------------------------------------------------------------------------------------

    def _load_names(self) -> None:
        self.names = dict(self.database.execute("SELECT number, name FROM names"))
        self._numbers = {name: number for number, name in self.names.items()}

    def number_of(self, name: str) -> int | None:
        """The number of a name; None if no message has it."""
        return self._numbers.get(name)

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers)
            self.names[number] = name
            self.database.execute("INSERT INTO names VALUES (?, ?)", (number, name))
        return number

    def _row(self, entry: MessageEntry) -> tuple[Any, ...]:
        number = self._number
        performative, protocol, conversation, kind = entry.words
        return (
            entry.number, entry.at, number(entry.key[0]), number(entry.recipient), number(performative),
            number(protocol), number(conversation), None if kind is None else number(kind), *entry.place,
            entry.log, entry.offset, entry.length, entry.seq, *(entry.received or (None, None, None)),
            entry.from_receipt, entry.key[1], entry.in_reply_to,
        )  # fmt: skip

    def _one(self, query: str) -> int:
        return int(self.database.execute(query).fetchone()[0])


def open_index(logs_dir: Path, telling: Callable[[int, bool], None]) -> IndexStore:
    """Open a folder's index, and bring it up to date; made anew where it does not fit the logs.

    Where the folder cannot be written to, the index is made in a temporary folder, for this once.

    Args:
        logs_dir: the folder of logs.
        telling: told how many bytes of logs are to be read, and whether the index will be kept.

    Raises:
        LogError: a log cannot be read, or its chain is broken.
    """
    paths = log_paths(logs_dir)
    kept = _writable(logs_dir)
    folder = logs_dir if kept else Path(tempfile.mkdtemp(prefix="peerwatt-index-"))

    def opened(*, anew: bool) -> IndexStore:
        return _opened(folder, paths, lambda size: telling(size, kept), anew=anew)

    try:
        try:
            store = opened(anew=False)
        except (sqlite3.DatabaseError, _OutOfDateError):
            store = opened(anew=True)
    except BaseException:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    store.is_kept = kept
    return store


class _OutOfDateError(Exception):
    """What was indexed is no longer what the logs hold."""


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=LOCK_LIMIT_S, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")  # it can be made anew
    return database


def _opened(folder: Path, paths: list[Path], telling: Callable[[int], None], *, anew: bool) -> IndexStore:
    if anew:
        (folder / INDEX_NAME).unlink(missing_ok=True)
    database = _connect(folder / INDEX_NAME)
    store = IndexStore(database, folder / TEXT_NAME)
    try:
        database.execute("BEGIN IMMEDIATE")
        with contextlib.suppress(sqlite3.OperationalError):
            if database.execute("SELECT version FROM meta").fetchone() != (VERSION,):
                raise _OutOfDateError
        if not database.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone():
            for statement in SCHEMA.split(";"):
                database.execute(statement)
            database.execute("INSERT INTO meta VALUES (?)", (VERSION,))
        if not store.update(paths, telling):
            raise _OutOfDateError
        database.execute("COMMIT")
    except BaseException:
        store.close()
        raise
    return store


def _ends_with(path: Path, state: LogState) -> bool:
    """Whether the record that was indexed last is still where it was."""
    if not state.read_bytes:
        return state.head == FIRST_PREV
    with path.open("rb") as file:
        file.seek(state.read_bytes - 67)
        return file.read(67) == f'{state.head}"}}\n'.encode()


def _being_written(key: Key, states: list[LogState]) -> bool:
    """Whether a message's sending is in its sender's log by now, beyond what was read of it."""
    sender, message_id = key
    for state in states:
        if state.agent in (sender, sender.partition("@")[0]):
            with state.path.open("rb") as file:
                file.seek(state.read_bytes)
                return f'"id":{json.dumps(message_id)}'.encode() in file.read()
    return False
