"""Lines of messages exactly as the writer makes them, told without a JSON parser.

What is not exactly such a line, also a true one with text outside its body that has to be escaped, is left
to ``runtime.messagelog.record.decode``.
"""

from __future__ import annotations

import re

from runtime.messagelog.record import HASH_TAIL_LENGTH
from runtime.protocol.envelope import Performative

_TEXT = rb'([^"\\\x00-\x1f\x7f-\xff]*)'

HEAD = re.compile(
    rb'\{"seq":(\d+),"at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","kind":"(in|out)","from":"' + _TEXT
    + rb'","to":"' + _TEXT + rb'","performative":"([a-z-]+)","protocol":"' + _TEXT
    + rb'","conversation":"' + _TEXT + rb'","id":"' + _TEXT + rb'",'
)  # fmt: skip
"""A line up to its message's id: place, direction, sender, recipient, performative, …, id."""

PERFORMATIVES = {performative.value.encode(): performative.value for performative in Performative}
"""What stands in lines for each performative."""

REST = re.compile(
    rb'"re":(?:null|"' + _TEXT + rb'"),"by":(?:null|"' + _TEXT + rb'"),"expects_reply":(?:true|false),'
    rb'"ontology":"' + _TEXT + rb'","body":"'
)
"""From there to where the body begins: what it answers, its deadline, its ontology."""

FROM = b'"from":"'
PREV_TAIL_LENGTH = len(b',"prev":""') + 64
TAIL_LENGTH = PREV_TAIL_LENGTH + HASH_TAIL_LENGTH
"""Length of what follows the body, or the note [bytes]."""

_NOTE = b'","note":"'
_LONGEST_NOTE = 100
_PLAIN = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')


def message_end(line: bytes) -> tuple[int, bytes | None]:
    """Where the body's closing quote is, and the note; of a line that has the length of a message's.

    A note longer than ``_LONGEST_NOTE`` is not seen, and then what is taken for the body is not plain.
    """
    noted = line.find(_NOTE, len(line) - TAIL_LENGTH - _LONGEST_NOTE)
    last = len(line) - TAIL_LENGTH - 1
    if noted < 0:
        return last, None
    return noted, line[noted + len(_NOTE) : last]


def is_plain(text: bytes) -> bool:
    """Whether a text inside a line is printable ASCII and every quote in it, and nothing else, is escaped."""
    special = text.translate(None, _PLAIN)
    number = len(special) >> 1
    return special == b'\\"' * number and text.count(b'\\"') == number
