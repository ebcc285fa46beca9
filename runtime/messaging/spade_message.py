"""An envelope as a SPADE message, as the stanza of one, and back."""

from __future__ import annotations

import re
from functools import lru_cache
from xml.etree import ElementTree

from runtime.errors import ProtocolError
from runtime.messaging import lean

lean.apply()

from slixmpp import JID, InvalidJID  # noqa: E402
from spade.message import Message  # noqa: E402

from runtime.messaging.wire import FORM_TITLE, THREAD_FIELD, envelope_of, fields_of  # noqa: E402
from runtime.protocol.envelope import Envelope  # noqa: E402

BODY = "{jabber:client}body"
FORMS = "{jabber:x:data}"
_FORM, _TITLE, _FIELD, _VALUE = (f"{FORMS}{name}" for name in ("x", "title", "field", "value"))
_MARKUP = re.compile("[&<>'\"]")


def message_of(envelope: Envelope) -> Message:
    """Return the SPADE message that carries ``envelope``."""
    return Message(
        to=envelope.recipient,
        sender=envelope.sender,
        body=envelope.body,
        thread=envelope.conversation,
        metadata=fields_of(envelope),
    )


def stanza_text_of(envelope: Envelope, stanza_id: str) -> str:
    """Return the stanza of the message, as SPADE and slixmpp write it, at a twentieth of their time.

    They build a tree of objects for every field of the form; here the text is put together. A test holds it
    to theirs.

    Args:
        envelope: the message.
        stanza_id: the stanza's id.
    """
    fields = fields_of(envelope)
    fields[THREAD_FIELD] = envelope.conversation
    recipient, sender = envelope.recipient, envelope.sender
    if _MARKUP.search("".join((stanza_id, recipient, sender, *fields.values()))) is not None:
        stanza_id, recipient, sender = map(lean.escape, (stanza_id, recipient, sender))
        fields = {name: lean.escape(value) for name, value in fields.items()}
    written = "".join(
        [
            f'<field var="{name}" type="text-single"><value>{value}</value></field>'
            for name, value in fields.items()
        ]
    )
    return (
        f'<message id="{stanza_id}" xml:lang="en" to="{recipient}" '
        f'from="{sender}" type="chat"><body>{_escaped(envelope.body)}</body>'
        f'<x xmlns="jabber:x:data" type="form">{written}<title>{FORM_TITLE}</title></x></message>'
    )


@lru_cache(maxsize=2)
def _escaped(body: str) -> str:
    """A body as XML; kept for the next stanza, for what is said to all is the same."""
    return lean.escape(body)


def message_of_stanza(stanza: ElementTree.Element) -> Message:
    """Read a SPADE message from a stanza, as ``Message.from_node`` does from slixmpp's object for it.

    Args:
        stanza: a message with a body.

    Raises:
        ProtocolError: an address is none, or a field of its form has no name.
    """
    try:
        message = Message(
            to=JID(stanza.get("to", "")), sender=JID(stanza.get("from", "")), body=stanza.findtext(BODY, "")
        )
    except InvalidJID as error:
        raise ProtocolError(f"its addresses: {error}") from error
    for form in stanza:
        if form.tag != _FORM or form.findtext(_TITLE) != FORM_TITLE:
            continue
        for field in form:
            if field.tag != _FIELD:
                continue
            name = field.get("var")
            # Nearly always the only thing in a field.
            value = field[0].text if len(field) and field[0].tag == _VALUE else field.findtext(_VALUE)
            if name is None:
                raise ProtocolError("a field of its form has no name")
            if not value:
                continue
            if name == THREAD_FIELD:
                message.thread = value
            else:
                message.set_metadata(name, value)
    return message


def envelope_of_message(message: Message, recipient: str) -> Envelope:
    """Read the envelope out of a SPADE message.

    Args:
        message: as received; its sender is what the server authenticated.
        recipient: bare JID of the receiving agent.

    Raises:
        ProtocolError: naming the field that is missing, unknown or malformed.
    """
    return envelope_of(message.sender.bare, recipient, message.thread, message._metadata, message.body)
