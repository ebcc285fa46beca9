"""Messages of the market as nearly all of them come, told without an XML parser.

A parser hands over a dozen elements for each message, an object and a call each; one regular expression sees
in a fraction of the time that a text is exactly such a message, well-formed, in printable ASCII. Whatever is
not, a true message in another form too, is left to the parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.messaging.wire import FORM_TITLE, THREAD_FIELD

MESSAGE_END = b"</message>"
"""What a message ends with."""

# Printable ASCII; possessive, so that a text which does not fit is given up after one look.
_TEXT = rb"[ -%'-;=?-~]*+(?:&(?:amp|lt|gt|quot|apos);[ -%'-;=?-~]*+)*+"
_DOUBLE, _SINGLE = rb'"[ !#-%\'-;=?-~]*+"', rb"'[ -%(-;=?-~]*+'"
_QUOTED = rb"(?:" + _DOUBLE + rb"|" + _SINGLE + rb")"
_FORM = rb"(?:'jabber:x:data' type='form'|\"jabber:x:data\" type=\"form\")"
_VAR, _TYPE = rb"var=" + _QUOTED, rb"type=(?:'text-single'|\"text-single\")"
_FIELDS = (
    rb"(?:<field (?:" + _VAR + rb" " + _TYPE + rb"|" + _TYPE + rb" " + _VAR + rb")><value>" + _TEXT
    + rb"</value></field>)*+"
)  # fmt: skip
_TITLE = rb"<title>" + FORM_TITLE.encode() + rb"</title>"

_RECEIVED = re.compile(
    rb"<message((?: (?:id|from|to|type|xml:lang)=" + _QUOTED + rb")*+)>(?:<body>(" + _TEXT + rb")</body>)?"
    rb"<x (?:xmlns=" + _FORM + rb"|type='form' xmlns='jabber:x:data')>(" + _FIELDS + rb")" + _TITLE
    + rb"</x>(?:<body>(" + _TEXT + rb")</body>)?" + MESSAGE_END
)  # fmt: skip
_ATTRIBUTE = re.compile(r"(id|from|to|type|xml:lang)=(?:'([^']*)'|\"([^\"]*)\")")
_FIELD = re.compile(r"var=(['\"])([a-z_-]+)\1[^<>]*><value>([^<]+)<")

_ADDRESS = re.compile(r"[a-z0-9._+-]+@[a-z0-9.-]+(?:/[A-Za-z0-9._+-]+)?")
"""JIDs that are the same in every spelling; others are left to who knows the rules (RFC 7622)."""

SENT = re.compile(
    rb"<message id=\"([ !#-%'-;=?-~]*+)\" xml:lang=\"en\" to=\"([ !#-%'-;=?-~]*+)\""
    rb" from=\"([ !#-%'-;=?-~]*+)\" type=\"chat\">(<body>" + _TEXT
    + rb"</body><x xmlns=\"jabber:x:data\" type=\"form\">"
    rb"(?:<field var=\"[a-z_-]++\" type=\"text-single\"><value>" + _TEXT + rb"</value></field>)*+" + _TITLE
    + rb"</x>)" + MESSAGE_END
)  # fmt: skip
"""A message as ``stanza_text_of`` writes it: id, recipient, sender, and what is between its tags."""


@dataclass(slots=True)
class PlainMessage:
    """What a received message says.

    Attributes:
        sender: JID, as the server gives it.
        recipient: JID.
        thread: the conversation, None without one.
        fields: of its form, without the thread.
        body: its text, empty without one.
    """

    sender: str
    recipient: str
    thread: str | None
    fields: dict[str, str]
    body: str


def read_plain(data: bytes, position: int) -> tuple[PlainMessage, int] | None:
    """Read the message at a position of a stream, between two stanzas.

    Args:
        data: part of a stream whose default namespace is ``jabber:client``.
        position: where a stanza begins [bytes].

    Returns:
        The message and the position after it; None where no whole message in one of the forms that servers
        give the market's stands there.
    """
    found = _RECEIVED.match(data, position)
    if found is None:
        return None
    tag, body_before, form, body_after = found.groups()
    if (body_before is None) is (body_after is None):
        return None
    attributes = _ATTRIBUTE.findall(tag.decode("ascii"))
    about = {name: single or double for name, single, double in attributes}
    sender, recipient = _ADDRESS.fullmatch(about.get("from", "")), _ADDRESS.fullmatch(about.get("to", ""))
    if sender is None or recipient is None or about.get("type") != "chat" or len(about) != len(attributes):
        return None
    pairs = _FIELD.findall(form.decode("ascii"))
    if len(pairs) != form.count(b"<field "):
        return None  # one without a value, or with an unusual name
    fields = {name: _read(value) for _, name, value in pairs}
    thread = fields.pop(THREAD_FIELD, None)
    body = (body_before if body_after is None else body_after).decode("ascii")
    return PlainMessage(sender[0], recipient[0], thread, fields, _read(body)), found.end()


def _read(text: str) -> str:
    """A text without its escapes."""
    if "&" not in text:
        return text
    text = text.replace("&quot;", '"')
    if "&" not in text:  # seldom is anything else escaped in JSON
        return text
    text = text.replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">")
    return text.replace("&amp;", "&")
