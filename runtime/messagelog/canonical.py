"""Lines of messages exactly as the writer makes them, told without a JSON parser.

What is not exactly such a line, also a true one with text outside its body that has to be escaped, is left
to ``runtime.messagelog.record.decode``.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern

from runtime.messagelog.record import HASH_TAIL_LENGTH
from runtime.messagelog.tally import Tally
from runtime.protocol.envelope import Performative

_TEXT = rb'([^"\\\x00-\x1f\x7f-\xff]*)'

HEAD = re.compile(
    rb'\{"seq":(\d+),"at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","kind":"(in|out)","from":"' + _TEXT
    + rb'","to":"' + _TEXT + rb'","performative":"([a-z-]+)","protocol":"' + _TEXT
    + rb'","conversation":"' + _TEXT + rb'","id":"' + _TEXT + rb'",'
)  # fmt: skip
"""A line up to its message's id: place, direction, sender, recipient, performative, …, id."""

_SECOND = re.compile(rb'\{"seq":\d+,"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.)')
FRACTION_DIGITS = 6
"""So many digits, the fraction of a second, follow what ``second_of`` gives."""

_ROUTE = re.compile(
    rb'Z","kind":"(?:in|(out))","from":"' + _TEXT + rb'","to":"' + _TEXT + rb'","performative":"([a-z-]+)"'
    rb',"protocol":"' + _TEXT + rb'","conversation":"' + _TEXT
)  # fmt: skip
ID_KEY = b'","id":"'
"""What stands between a line's route and its message's id."""

_FIRST_TYPE = rb'\{\\"type\\": ?\\"([a-z-]+)\\"(?=[,}])'
FIRST_TYPE = re.compile(_FIRST_TYPE)
"""The type of a body that says it first."""
TYPE_KEY = b'\\"type\\"'

REST = re.compile(
    rb'","re":(?:null|"' + _TEXT + rb'"),"by":(?:null|"' + _TEXT + rb'"),"expects_reply":(?:true|false),'
    rb'"ontology":"' + _TEXT + rb'","body":"(?:' + _FIRST_TYPE + rb")?"
)
"""From a message's id to its body: what it answers, its deadline, its ontology; and the body's type, if the
body says it first."""

PREV_TAIL_LENGTH = len(b',"prev":""') + 64
TAIL_LENGTH = PREV_TAIL_LENGTH + HASH_TAIL_LENGTH
"""Length of what follows the body, or the note [bytes]."""

NOTE_KEY = b'","note":"'
_LONGEST_NOTE = 100
_PLAIN = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
_PERFORMATIVES = {performative.value.encode(): performative.value for performative in Performative}
_REFUSALS = frozenset({"refuse", "not-understood"})


@dataclass(slots=True)
class Route:
    """What lines have in common that stand alike from their instant to their message's id.

    Attributes:
        sent: whether the log's agent sent the message.
        sender: bare JID; one object for all that have it, as ``recipient``.
        recipient: bare JID.
        performative: FIPA performative.
        refuses: whether that refuses something.
        from_start: where the sender's name begins in the route [bytes].
        numbers: of the sender's messages, as ``Tally.counting``.
        pair: number of sender and recipient, as ``Tally.pair``.
        may_say: of types of bodies so far, whether the sender may say them so to the recipient.
    """

    sent: bool
    sender: str
    recipient: str
    performative: str
    refuses: bool
    from_start: int
    numbers: array[int]
    pair: int
    may_say: dict[bytes, bool] = field(default_factory=dict)


def second_of(line: bytes) -> bytes | None:
    """The second in which a line was written, with its point; None if there is no such second in the line."""
    found = _SECOND.match(line)
    if found is None:
        return None
    try:
        datetime.fromisoformat(found[1][:-1].decode())
    except ValueError:
        return None
    return found[1]


def route_of(text: bytes, tally: Tally) -> Route | None:
    """The route that a line has between its instant and ``ID_KEY``; None if no writer makes it."""
    found = _ROUTE.fullmatch(text)
    performative = None if found is None else _PERFORMATIVES.get(found[4])
    if found is None or performative is None:
        return None
    sender, recipient = (intern(found[group].decode()) for group in (2, 3))
    return Route(
        sent=found[1] is not None,
        sender=sender,
        recipient=recipient,
        performative=performative,
        refuses=performative in _REFUSALS,
        from_start=found.start(2),
        numbers=tally.counting(sender),
        pair=tally.pair(sender, recipient),
    )


def message_end(line: bytes) -> tuple[int, bytes | None]:
    """Where the body's closing quote is, and the note; of a line that has the length of a message's.

    A note longer than ``_LONGEST_NOTE`` is not seen, and then what is taken for the body is not plain.
    """
    noted = line.find(NOTE_KEY, len(line) - TAIL_LENGTH - _LONGEST_NOTE)
    last = len(line) - TAIL_LENGTH - 1
    if noted < 0:
        return last, None
    return noted, line[noted + len(NOTE_KEY) : last]


def is_plain(text: bytes) -> bool:
    """Whether a text inside a line is printable ASCII and every quote in it, and nothing else, is escaped."""
    special = text.translate(None, _PLAIN)
    number = len(special) >> 1
    return special == b'\\"' * number and text.count(b'\\"') == number
