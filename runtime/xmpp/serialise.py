"""Stanzas as the bytes of a client's stream: what ``ElementTree.tostring`` does, at a quarter of its time.

Each element states its namespace as the default one where it differs from its parent's, so nothing has to be
collected and declared beforehand.
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

STREAM_NAMESPACE = "jabber:client"
"""Default namespace of a client's stream (RFC 6120 section 4.8.3)."""

_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


def stanza_bytes(stanza: ElementTree.Element) -> bytes:
    """Write one stanza as UTF-8, without the text that follows it."""
    parts: list[str] = []
    _write(stanza, STREAM_NAMESPACE, parts)
    return "".join(parts).encode()


def _write(element: ElementTree.Element, namespace: str, parts: list[str]) -> None:
    """Write an element into a place where ``namespace`` is the default one."""
    own_namespace, name = _split(element.tag)
    if own_namespace == namespace:
        parts.append(f"<{name}")
    elif own_namespace == _XML_NAMESPACE:  # may be neither declared nor made the default
        name = f"xml:{name}"
        parts.append(f"<{name}")
    else:
        namespace = own_namespace
        parts.append(f'<{name} xmlns="{_quoted(namespace)}"')
    for key, value in element.items():
        if key[0] != "{":
            parts.append(f' {key}="{_quoted(value)}"')
        else:
            # The number of parts so far makes a prefix that nothing else in the stanza has.
            parts.append(_qualified(key, value, f"a{len(parts)}"))
    text = element.text
    if not text and not len(element):
        parts.append("/>")
        return
    parts.append(f">{_escaped(text)}" if text else ">")
    for child in element:
        _write(child, namespace, parts)
        if child.tail:
            parts.append(_escaped(child.tail))
    parts.append(f"</{name}>")


def _qualified(key: str, value: str, prefix: str) -> str:
    namespace, name = _split(key)
    if namespace == _XML_NAMESPACE:
        return f' xml:{name}="{_quoted(value)}"'
    return f' xmlns:{prefix}="{_quoted(namespace)}" {prefix}:{name}="{_quoted(value)}"'


@lru_cache(maxsize=256)
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
    if text.isalnum():
        return text
    text = _escaped(text).replace('"', "&quot;")
    return text.replace("\n", "&#10;").replace("\t", "&#9;")
