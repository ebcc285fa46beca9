"""The form of an envelope on the wire: text fields, thread and body, whatever library carries them.

SPADE keeps FIPA's message fields in an XEP-0004 data form; their names here are those of the FIPA ACL
Message Representation in XML (SC00071E).  The conversation travels as the thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from runtime.errors import ProtocolError
from runtime.protocol.envelope import MAX_BODY_BYTES, ONTOLOGY, Envelope, Performative

FORM_TITLE = "spade:x:metadata"
"""Title of the data form that carries the fields (SPADE's convention)."""

THREAD_FIELD = "_thread_node"
"""Field of the form that carries the thread (SPADE's convention)."""

MAX_FIELD_CHARACTERS = 1024
"""Longer field values are refused, sent or received."""

MAX_ESCAPED_BODY_BYTES = 240_000
"""Prosody ends the stream above 262 144 bytes of one stanza, counted after XML escaping."""

_PERFORMATIVES = {performative.value: performative for performative in Performative}
_FIELDS = {
    "performative", "protocol", "ontology", "reply-with", "in-reply-to", "reply-by", "expects-reply",
}  # fmt: skip

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED_EXTRA_BYTES = {"&": 4, "<": 3, ">": 3, "'": 5, '"': 5}


def fields_of(envelope: Envelope) -> dict[str, str]:
    """Return the metadata form of ``envelope``: all but sender, recipient, thread and body."""
    fields = {
        "performative": str(envelope.performative),
        "protocol": envelope.protocol,
        "ontology": envelope.ontology,
        "reply-with": envelope.message_id,
    }
    if envelope.in_reply_to is not None:
        fields["in-reply-to"] = envelope.in_reply_to
    if envelope.reply_by is not None:
        fields["reply-by"] = envelope.reply_by
    if envelope.expects_reply:
        fields["expects-reply"] = "true"
    return fields


def check_sendable(envelope: Envelope) -> None:
    """Check that a server will carry ``envelope``: one that ends the stream does so at every repeat.

    Raises:
        ProtocolError: the body is empty, too long, or not allowed in XML 1.0, or a field is.
    """
    plain_bytes, escaped_bytes, is_xml = _measured(envelope.body)
    if not plain_bytes:
        raise ProtocolError(f"message {envelope.message_id}: the body is empty; servers do not deliver that")
    if plain_bytes > MAX_BODY_BYTES:
        raise ProtocolError(
            f"message {envelope.message_id}: body of {plain_bytes} bytes, at most {MAX_BODY_BYTES} allowed"
        )
    if not is_xml:
        raise ProtocolError(f"message {envelope.message_id}: the body has a character not allowed in XML 1.0")
    if escaped_bytes > MAX_ESCAPED_BODY_BYTES:
        raise ProtocolError(
            f"message {envelope.message_id}: body of {escaped_bytes} bytes once escaped for XML, "
            f"at most {MAX_ESCAPED_BODY_BYTES} allowed"
        )
    fields = {"conversation": envelope.conversation, **fields_of(envelope)}
    joined = "".join(fields.values())
    if all(fields.values()) and len(joined) <= MAX_FIELD_CHARACTERS and _is_xml(joined):
        return  # all of them at once, as nearly always
    for name, value in fields.items():
        _check_field(name, value)


@lru_cache(maxsize=2)
def _measured(body: str) -> tuple[int, int, bool]:
    """Bytes of a body, bytes once escaped, and whether XML allows it; kept, as many get the same body."""
    plain_bytes = len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
    extra_bytes = sum(extra * body.count(sign) for sign, extra in _ESCAPED_EXTRA_BYTES.items())
    return plain_bytes, plain_bytes + extra_bytes, _is_xml(body)


def _check_field(name: str, value: str) -> None:
    if not value or len(value) > MAX_FIELD_CHARACTERS or not _is_xml(value):
        raise ProtocolError(
            f"message field {name}: expected 1 to {MAX_FIELD_CHARACTERS} characters allowed in XML 1.0, "
            f"found {value!r:.80}"
        )


def _is_xml(text: str) -> bool:
    # Printable ASCII, as nearly all is, needs no search.
    return (text.isascii() and text.isprintable()) or _NOT_XML.search(text) is None


def envelope_of(
    sender: str, recipient: str, thread: str | None, fields: Mapping[str, str], body: str | None
) -> Envelope:
    """Read an envelope from what arrived.

    Args:
        sender: bare JID the server authenticated.
        recipient: bare JID of the receiving account.
        thread: the conversation.
        fields: the metadata form; fields this version does not know are refused, not passed over.
        body: text of the message.

    Raises:
        ProtocolError: naming the field that is missing, unknown or malformed.
    """
    ontology = _taken(fields, "ontology")
    if ontology != ONTOLOGY:
        raise ProtocolError(f"ontology {ontology!r:.80} is not understood, expected {ONTOLOGY!r}")
    spoken = _taken(fields, "performative")
    performative = _PERFORMATIVES.get(spoken)
    if performative is None:
        raise ProtocolError(f"performative {spoken!r:.80} is not understood")
    expects_reply = _taken(fields, "expects-reply") if "expects-reply" in fields else None
    if expects_reply not in (None, "true"):
        raise ProtocolError(f"message field expects-reply: expected 'true', found {expects_reply!r:.80}")
    reply_by = _taken(fields, "reply-by") if "reply-by" in fields else None
    if reply_by is not None:
        _check_instant(reply_by)
    protocol, message_id = _taken(fields, "protocol"), _taken(fields, "reply-with")
    in_reply_to = _taken(fields, "in-reply-to") if "in-reply-to" in fields else None
    if not fields.keys() <= _FIELDS:
        raise ProtocolError(f"message field {min(fields.keys() - _FIELDS)!r:.80} is unknown")
    if not thread or len(thread) > MAX_FIELD_CHARACTERS:
        raise ProtocolError("the conversation (thread) is missing or too long")
    if not body:
        raise ProtocolError("the body is missing")
    if len(body) > MAX_BODY_BYTES or (not body.isascii() and len(body.encode()) > MAX_BODY_BYTES):
        raise ProtocolError(f"the body is longer than {MAX_BODY_BYTES} bytes")
    return Envelope(
        sender=sender,
        recipient=recipient,
        performative=performative,
        protocol=protocol,
        conversation=thread,
        message_id=message_id,
        body=body,
        in_reply_to=in_reply_to,
        expects_reply=expects_reply is not None,
        reply_by=reply_by,
        ontology=ontology,
    )


def _taken(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise ProtocolError(f"message field {name} is missing")
    if len(value) > MAX_FIELD_CHARACTERS:
        raise ProtocolError(f"message field {name} is longer than {MAX_FIELD_CHARACTERS} characters")
    return value


def _check_instant(text: str) -> None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ProtocolError(f"message field reply-by: expected ISO 8601, found {text!r:.80}") from None
    if instant.tzinfo is None:
        raise ProtocolError(f"message field reply-by: expected a time zone, found {text!r:.80}")
