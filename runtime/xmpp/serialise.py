"""Stanzas as the bytes of a client's stream: what ``ElementTree.tostring`` does, at a quarter of its time.

Each element states its namespace as the default one where it differs from its parent's, so nothing has to be
collected and declared beforehand.
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

STREAM_NAMESPACE = "jabber:client"
"""Default namespace of a client's stream (RFC 6120 section 4.8.3)."""

KEPT_CHARACTERS = 128
"""Names and values as short as this are kept once written: nearly all stanzas have the same ones."""

_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


class WrittenStanza(ElementTree.Element):
    """A stanza whose content stays as its sender wrote it.

    Attributes:
        content: what is between its tags, well-formed, in UTF-8, understood where the stream's default
            namespace is the default one and no prefix but ``xml`` is declared.
    """

    content: bytes

    def __init__(self, tag: str, attributes: dict[str, str], content: bytes) -> None:
        """Make a stanza of ``tag`` with ``attributes`` around ``content``."""
        super().__init__(tag, attributes)
        self.content = content


def stanza_bytes(stanza: ElementTree.Element) -> bytes:
    """Write one stanza as UTF-8, without the text that follows it."""
    parts: list[str] = []
    if isinstance(stanza, WrittenStanza):
        start, end, _ = _known_tags(stanza.tag, STREAM_NAMESPACE)
        start = _with_attributes(start, stanza)
        return b"%b>%b%b" % (start.encode(), stanza.content, end.encode())
    _write(stanza, STREAM_NAMESPACE, parts)
    return "".join(parts).encode()


def _write(element: ElementTree.Element, outer_namespace: str, parts: list[str]) -> None:
    """Write an element into a place where ``outer_namespace`` is the default one."""
    tags = _known_tags if len(element.tag) < KEPT_CHARACTERS else _tags
    start, end, namespace = tags(element.tag, outer_namespace)
    start = _with_attributes(start, element)
    text = element.text
    if text:
        parts.append(f"{start}>{_escaped(text)}")
    elif len(element):
        parts.append(start + ">")
    else:
        parts.append(start + "/>")
        return
    for child in element:
        _write(child, namespace, parts)
        if child.tail:
            parts.append(_escaped(child.tail))
    parts.append(end)


def _with_attributes(start: str, element: ElementTree.Element) -> str:
    """A start tag without its end, with the element's attributes."""
    for key, value in element.items():
        if key[0] != "{":
            start += f' {key}="{_known_quoted(value) if len(value) < KEPT_CHARACTERS else _quoted(value)}"'
        else:
            # No other attribute of the element begins at the same place, which so makes a prefix.
            start += _qualified(key, value, f"a{len(start)}")
    return start


def _tags(tag: str, outer_namespace: str) -> tuple[str, str, str]:
    """Start tag without its attributes and end, end tag, and the default namespace within."""
    namespace, name = _split(tag)
    if namespace == outer_namespace:
        return f"<{name}", f"</{name}>", namespace
    if namespace == _XML_NAMESPACE:  # may be neither declared nor made the default
        return f"<xml:{name}", f"</xml:{name}>", outer_namespace
    return f'<{name} xmlns="{_quoted(namespace)}"', f"</{name}>", namespace


def _qualified(key: str, value: str, prefix: str) -> str:
    namespace, name = _split(key)
    if namespace == _XML_NAMESPACE:
        return f' xml:{name}="{_quoted(value)}"'
    return f' xmlns:{prefix}="{_quoted(namespace)}" {prefix}:{name}="{_quoted(value)}"'


def _split(tag: str) -> tuple[str, str]:
    """Namespace, empty for none, and local name."""
    if tag[0] != "{":
        return "", tag
    namespace, _, name = tag[1:].rpartition("}")
    return namespace, name


def _escaped(text: str) -> str:
    # A carriage return that is not escaped is read as the end of a line.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _quoted(text: str) -> str:
    text = _escaped(text).replace('"', "&quot;")
    return text.replace("\n", "&#10;").replace("\t", "&#9;")


_known_tags = lru_cache(maxsize=256)(_tags)
_known_quoted = lru_cache(maxsize=512)(_quoted)
