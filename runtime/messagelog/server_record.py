"""The server's own record of the messages that it carried, as it is read.

``runtime/xmpp/prosody/modules/mod_peerwatt_audit.lua`` says what its lines are; the embedded server writes
the same (``runtime.xmpp.record``). It is no chain: whoever holds the server can write it anew; who holds an
agent's log cannot.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from runtime.errors import InputError

RECORD_FILE = "messages.jsonl"
"""Name of the record in the server's folder of a run."""

CUT_BYTES = 200
"""Longer values are cut to so many bytes."""

WORDS = (
    "recipient", "conversation", "performative", "protocol", "ontology",
    "in_reply_to", "reply_by", "expects_reply", "body",
)  # fmt: skip
"""What is compared of a message, beside its sender and id; the body by its SHA-256."""

Words = tuple[str, ...]

_OPENED = "opened_unix_s"
_LONGEST_LINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """One message as the server took it.

    Attributes:
        where: file and line.
        time_unix_s: when [s since 1970].
        sender: bare JID that the server authenticated.
        message_id: its id; empty for what is no message of the market (without form, or without id).
        is_error: whether it says that another could not be delivered.
        words: what ``WORDS`` names; an absent value is empty.
    """

    where: str
    time_unix_s: float
    sender: str
    message_id: str
    is_error: bool
    words: Words

    @property
    def recipient(self) -> str:
        """Bare JID it is addressed to."""
        return self.words[0]


def cut(text: str) -> str:
    """A value as the record has it: the first ``CUT_BYTES`` of its UTF-8."""
    if len(text) * 4 <= CUT_BYTES or (text.isascii() and len(text) <= CUT_BYTES):
        return text
    return text.encode("utf-8", "surrogateescape")[:CUT_BYTES].decode("utf-8", "surrogateescape")


def record_files(path: Path) -> list[Path]:
    """A record with what was rotated away beside it (``.2`` before ``.1``; or ``.gz``), oldest first.

    Raises:
        InputError: there is none.
    """
    rotated: list[tuple[int, Path]] = []
    for beside in path.parent.glob(f"{path.name}.*"):
        numbered = re.fullmatch(r"\.(\d+)(\.gz)?", beside.name.removeprefix(path.name))
        if numbered:
            rotated.append((-int(numbered[1]), beside))
    files = [beside for _, beside in sorted(rotated)] + ([path] if path.is_file() else [])
    if not files:
        raise InputError(f"{path}: found no record of the server; `peerwatt run --server-record` makes one")
    return files


@dataclass(slots=True)
class ServerRecord:
    """A record, read once from its beginning to its end by ``messages``.

    Attributes:
        path: its youngest file.
        files: number of files read.
        openings: how often a server began to write, rotations aside.
        torn_lines: lines that a crash cut, or the last that is still being written.
        begins_unix_s: when it begins; None if it is empty [s since 1970].
        lacks_beginning: whether it does not begin where a server was started: older files are not here, or it
            was cut.
        damaged: lines that are none of a record; each with file and line.
    """

    path: Path
    files: int = 0
    openings: int = 0
    torn_lines: int = 0
    begins_unix_s: float | None = None
    lacks_beginning: bool = False
    damaged: list[str] = field(default_factory=list)

    def messages(self) -> Iterator[CarriedMessage]:
        """Its messages in the order in which the server took them.

        Raises:
            InputError: a file cannot be read.
        """
        torn: str | None = None
        for file in record_files(self.path):
            self.files += 1
            for number, line in enumerate(_lines(file), 1):
                where = f"{file}, line {number}"
                if not line.endswith(b"\n"):
                    self.torn_lines += 1
                    continue
                try:
                    told = _read(line)
                except ValueError as error:
                    if torn is not None:
                        self.damaged.append(torn)
                    torn = f"{where}: expected a line of a server's record: {error}"
                    continue
                self._after_torn(torn, _OPENED in told)
                torn = None
                if _OPENED in told:
                    self._opened(told)
                    continue
                try:
                    message = _message(where, told)
                except (KeyError, TypeError, ValueError) as error:
                    reason = f"{type(error).__name__}: {error}"
                    self.damaged.append(f"{where}: expected a line of a server's record: {reason}")
                    continue
                if self.begins_unix_s is None:
                    self.begins_unix_s, self.lacks_beginning = message.time_unix_s, True
                yield message
        self._after_torn(torn, False)

    def _after_torn(self, torn: str | None, opened: bool) -> None:
        """A line that cannot be read was cut by a crash only if a server was started next."""
        if torn is not None and opened:
            self.torn_lines += 1
        elif torn is not None:
            self.damaged.append(torn)

    def _opened(self, told: dict[str, Any]) -> None:
        reopened = told.get("reopened") is True
        if not reopened:
            self.openings += 1
        if self.begins_unix_s is None:
            self.begins_unix_s, self.lacks_beginning = float(told[_OPENED]), reopened


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with cast("BinaryIO", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            while line := file.readline(_LONGEST_LINE_BYTES):
                yield line
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot read the server's record: {error}") from error


def _read(line: bytes) -> dict[str, Any]:
    # A cut inside a character leaves what is no UTF-8.
    told = json.loads(line.decode("utf-8", "surrogateescape"))
    if not isinstance(told, dict):
        raise ValueError(f"expected a JSON object, found {type(told).__name__}")
    return told


def _message(where: str, told: dict[str, Any]) -> CarriedMessage:
    sender = _text(told, "sender").partition("/")[0]
    fields = told.get("fields") or {}  # an empty table is an empty list to some JSON writers
    recipient = told.get("recipient")
    words = (
        sender if recipient is None else recipient.partition("/")[0],
        told.get("thread") or "",
        fields.get("performative", "") if fields else "",
        fields.get("protocol", "") if fields else "",
        fields.get("ontology", "") if fields else "",
        fields.get("in-reply-to", "") if fields else "",
        fields.get("reply-by", "") if fields else "",
        fields.get("expects-reply", "") if fields else "",
        told.get("body_sha256") or "",
    )
    message_id = fields.get("reply-with", "") if fields else ""
    if not all(isinstance(word, str) for word in (*words, message_id)):
        raise ValueError("a field is no text")
    return CarriedMessage(
        where, float(told["time_unix_s"]), sender, message_id, told.get("type") == "error", words
    )


def _text(told: dict[str, Any], key: str) -> str:
    value = told[key]
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected text, found {value!r:.40}")
    return value
