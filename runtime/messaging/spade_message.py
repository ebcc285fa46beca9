"""An envelope as a SPADE message, as the stanza of one, and back."""

from __future__ import annotations

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
    fields = "".join(
        f'<field var="{name}" type="text-single"><value>{lean.escape(value)}</value></field>'
        for name, value in (*fields_of(envelope).items(), (THREAD_FIELD, envelope.conversation))
    )
    return (
        f'<message id="{lean.escape(stanza_id)}" xml:lang="en" to="{lean.escape(envelope.recipient)}" '
        f'from="{lean.escape(envelope.sender)}" type="chat"><body>{_escaped(envelope.body)}</body>'
        f'<x xmlns="jabber:x:data" type="form">{fields}<title>{FORM_TITLE}</title></x></message>'
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
    for form in stanza.iterfind(f"{FORMS}x"):
        if form.findtext(f"{FORMS}title") != FORM_TITLE:
            continue
        for field in form.iterfind(f"{FORMS}field"):
            name, value = field.get("var"), field.findtext(f"{FORMS}value")
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
