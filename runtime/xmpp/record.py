"""The embedded server's own record of the messages that it carries, as Prosody's module writes it.

Its lines are described in ``runtime/xmpp/prosody/modules/mod_peerwatt_audit.lua``;
``peerwatt verify --server`` holds agents' logs against them.
"""

from __future__ import annotations

import contextlib
import re
import time
from hashlib import sha256
from json.encoder import encode_basestring
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from runtime.messagelog.server_record import CUT_BYTES
from runtime.xmpp.serialise import WrittenStanza, stanza_bytes

_KNOWN = frozenset(
    ("performative", "protocol", "ontology", "reply-with", "in-reply-to", "reply-by", "expects-reply")
)
_THREAD_FIELD = "_thread_node"
_CLIENT, _FORMS = "{jabber:client}", "{jabber:x:data}"

_FIELD = rb'<field var="([\w-]+)" type="text-single"><value>([^<]*)</value></field>'
_USUAL = re.compile(
    rb'<body>([^<]*)</body><x xmlns="jabber:x:data" type="form">((?:' + _FIELD.replace(b"(", b"(?:")
    + rb")*)<title>[^<]*</title></x>"
)  # fmt: skip
"""A message's content as our agents write it, which can be read without a parser of XML."""
_FIELDS = re.compile(_FIELD)

Fields = dict[str, str]


class CarriedRecord:
    """Appends a line for each message; use it as a context manager.

    Half a line that a crash left is ended first, so that it does not spoil the next.
    """

    def __init__(self, path: Path) -> None:
        """Open the record to be continued.

        Args:
            path: the file, made if it is missing.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = path.open("ab+", buffering=0)
        torn = b""
        if self._file.seek(0, 2) > 0:
            self._file.seek(-1, 2)
            torn = b"" if self._file.read(1) == b"\n" else b"\n"
        self._file.write(b'%b{"opened_unix_s":%.6f}\n' % (torn, time.time()))

    def write(self, sender: str, message: ElementTree.Element) -> None:
        """Append a message that came from a session, before it is routed.

        Args:
            sender: full JID that was authenticated.
            message: the stanza as it came.

        Raises:
            OSError: it cannot be written; the message is then not to be carried either.
        """
        body, fields, thread = _content(message)
        parts = [f'{{"time_unix_s":{time.time():.6f},"sender":{encode_basestring(sender)}']
        for key, value in (
            ("recipient", message.get("to")),
            ("stanza_id", message.get("id")),
            ("type", message.get("type")),
            ("thread", thread),
        ):
            if value is not None:
                parts.append(f',"{key}":{_value(value)}')
        line = "".join(parts).encode("utf-8", "surrogateescape")
        if fields is not None:
            written = ",".join([f'"{name}":{_value(value)}' for name, value in fields.items()])
            line += b',"fields":{%b}' % written.encode("utf-8", "surrogateescape")
        if body is None:
            line += b',"body_bytes":0}\n'
        else:
            line += b',"body_bytes":%d,"body_sha256":"%b"}\n' % (
                len(body),
                sha256(body).hexdigest().encode(),
            )
        self._file.write(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _value(text: str) -> str:
    if len(text) > CUT_BYTES // 4:
        text = text.encode()[:CUT_BYTES].decode("utf-8", "surrogateescape")
    return encode_basestring(text)


def _content(message: ElementTree.Element) -> tuple[bytes | None, Fields | None, str | None]:
    """Body, fields of the form, thread."""
    if isinstance(message, WrittenStanza):
        if (usual := _USUAL.fullmatch(message.content)) and b"\r" not in message.content:
            with contextlib.suppress(_ReferenceError):
                return _usual_content(usual)
        message = ElementTree.fromstring(b'<s xmlns="jabber:client">%b</s>' % stanza_bytes(message))[0]
    text = message.findtext(f"{_CLIENT}body")
    thread = message.findtext(f"{_CLIENT}thread")
    form = message.find(f"{_FORMS}x")
    if form is not None:
        fields = {}
        for field in form.findall(f"{_FORMS}field"):
            name, value = field.get("var"), field.findtext(f"{_FORMS}value")
            if value is not None and name in _KNOWN:
                fields[str(name)] = value
            if value is not None and name == _THREAD_FIELD:
                thread = thread or value
        return None if text is None else text.encode(), fields, thread
    return None if text is None else text.encode(), None, thread


def _usual_content(usual: re.Match[bytes]) -> tuple[bytes, Fields, str | None]:
    fields = {name.decode(): _unescaped(value).decode() for name, value in _FIELDS.findall(usual[2])}
    thread = fields.pop(_THREAD_FIELD, None)
    if not fields.keys() <= _KNOWN:
        fields = {name: value for name, value in fields.items() if name in _KNOWN}
    return _unescaped(usual[1]), fields, thread


class _ReferenceError(ValueError):
    """A character by its number: left to a parser of XML."""


def _unescaped(text: bytes) -> bytes:
    if b"&" not in text:
        return text
    text = text.replace(b"&quot;", b'"')  # JSON has no other, as a rule
    if b"&" not in text:
        return text
    if b"&#" in text:
        raise _ReferenceError
    text = text.replace(b"&apos;", b"'").replace(b"&lt;", b"<").replace(b"&gt;", b">")
    return text.replace(b"&amp;", b"&")
