"""An agent's reply to a message that comes again, from the agent's own log: it need not be kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from pathlib import Path

from runtime.errors import LogError
from runtime.messagelog.record import NOTE_DUPLICATE, RecordKind, decode
from runtime.protocol.envelope import Envelope

LOOK_BACK_BYTES = 16 << 20
"""So far back a reply is looked for: in the busiest fleet that is longer than anybody lets pass between two
repetitions, and whoever repeats what is long past is answered no more at no great cost."""

_BLOCK_BYTES = 1 << 18


def logged_reply(path: Path, asked: Envelope) -> Envelope | None:
    """The reply to a message that was received before.

    Args:
        path: the log of the agent that was asked; it may be open for writing.
        asked: the message that comes again.

    Returns:
        None if it was not replied to yet, or was received too long ago to be found.

    Raises:
        LogError: the log cannot be read, or a line of it is no record.
    """
    replying = f'"re":{encode_basestring_ascii(asked.message_id)},'.encode("ascii")
    receipt = f'"id":{encode_basestring_ascii(asked.message_id)},'.encode("ascii")
    for line in _lines_backward(path):
        if replying not in line and receipt not in line:
            continue
        try:
            record = decode(line, "", check_hash=False)
        except ValueError as error:
            raise LogError(f"{path}: {error}") from error
        envelope = record.envelope
        if envelope is None:
            continue
        if record.kind is RecordKind.OUT:
            if envelope.in_reply_to == asked.message_id and envelope.recipient == asked.sender:
                return envelope
        elif (
            envelope.message_id == asked.message_id
            and envelope.sender == asked.sender
            and record.note != NOTE_DUPLICATE
        ):
            return None
    return None


def _lines_backward(path: Path) -> Iterator[bytes]:
    """The complete lines of a log, the last one first, as far back as is looked."""
    try:
        with path.open("rb") as file:
            position = file.seek(0, 2)
            least = max(0, position - LOOK_BACK_BYTES)
            rest, torn = b"", True  # what follows the last newline is no line yet
            while position > least:
                size = min(_BLOCK_BYTES, position - least)
                position -= size
                file.seek(position)
                rest, *lines = (file.read(size) + rest).split(b"\n")
                if torn and lines:
                    lines.pop()
                    torn = False
                yield from reversed(lines)
            if position == 0 and not torn:
                yield rest
    except OSError as error:
        raise LogError(f"{path}: cannot read the message log: {error.strerror}") from error
