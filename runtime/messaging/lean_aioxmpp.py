"""Load of aioxmpp what a device needs: streams, stanzas, login, forms.

``import aioxmpp`` takes 44 MB: all its extensions, DNS, time zones and translations, lxml for elements nobody
knows, and a second OpenSSL beside Python's own. :func:`apply` imports the parts alone, with stand-ins for
those libraries, none of which the parts call; connections are encrypted by Python's own ``ssl``. In a process
that has imported all of aioxmpp already it does nothing.
"""

from __future__ import annotations

import importlib
import sys
from datetime import UTC
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from runtime.errors import PeerwattError


class LeanError(PeerwattError):
    """aioxmpp is missing, or not built as this version of Peerwatt expects."""


class _Formatter:
    """Stands for aioxmpp's translated error messages."""

    def __init__(self, *_: object, **__: object) -> None:
        return


class _Unused:
    """Stands for a class that is only named where the parts are imported."""


_STAND_INS: dict[str, dict[str, Any]] = {
    "OpenSSL": {},
    "OpenSSL.SSL": {},
    "pyasn1": {},
    "pyasn1.codec": {},
    "pyasn1.codec.der": {},
    "pyasn1.codec.der.decoder": {},
    "pyasn1.codec.der.encoder": {},
    "pyasn1_modules": {},
    "pyasn1_modules.rfc2459": {},
    "pytz": {"utc": UTC},
    "lxml": {},
    "lxml.etree": {"Element": ElementTree.Element, "SubElement": ElementTree.SubElement},
    "lxml.sax": {"ElementTreeContentHandler": _Unused},
    "aioxmpp.ping.service": {"PingService": _Unused, "ping": None},
    "aioxmpp.i18n": {"LocalizingFormatter": _Formatter, "LocalizableString": _Formatter},
}

_UNUSED = "urllib.request"
"""Imported by ``xml.sax`` for documents read from the web: three more megabytes."""

_PARTS = ("errors", "stanza", "structs", "protocol", "nonza", "security_layer", "rfc6120")

_SHORTHANDS = {
    "stanza": ("Presence", "IQ", "Message"),
    "structs": ("JID", "MessageType", "IQType", "ErrorType", "PresenceType"),
    "errors": ("ErrorCondition",),
}
"""What aioxmpp's own modules expect in the package itself."""


def apply() -> None:
    """Import the parts of aioxmpp that a device needs. Does nothing twice.

    Raises:
        LeanError: aioxmpp is missing or built otherwise.
    """
    if "aioxmpp" in sys.modules:
        importlib.import_module("aioxmpp.forms")
        importlib.import_module("aioxmpp.ping")
        return
    spec = PathFinder.find_spec("aioxmpp")
    if spec is None or spec.submodule_search_locations is None:
        raise LeanError("aioxmpp is not installed: pip install 'aioxmpp>=0.13.3'")
    package = ModuleType("aioxmpp")
    package.__spec__, package.__path__ = spec, list(spec.submodule_search_locations)
    put_in = _put_stand_ins()
    sys.modules["aioxmpp"] = package
    package.i18n = sys.modules["aioxmpp.i18n"]  # type: ignore[attr-defined]
    try:
        for name in _PARTS:
            part = importlib.import_module(f"aioxmpp.{name}")
            for shorthand in _SHORTHANDS.get(name, ()):
                setattr(package, shorthand, getattr(part, shorthand))
        importlib.import_module("aioxmpp.forms")
        importlib.import_module("aioxmpp.ping")
    except (ImportError, AttributeError) as error:
        for name in [name for name in sys.modules if name.partition(".")[0] == "aioxmpp"]:
            del sys.modules[name]
        raise LeanError(f"aioxmpp is not built as expected (0.13.3 is): {error}") from error
    finally:
        for name in put_in:
            sys.modules.pop(name, None)


def _put_stand_ins() -> list[str]:
    """Put stand-ins in the places of libraries that nobody has imported; returns their names."""
    put_in: list[str] = []
    there = set(sys.modules)
    for name, attributes in _STAND_INS.items():
        if name in there or name.partition(".")[0] in there:
            continue
        stand_in = ModuleType(name)
        stand_in.__path__ = []
        for attribute, value in attributes.items():
            setattr(stand_in, attribute, value)
        sys.modules[name] = stand_in
        put_in.append(name)
        parent, _, child = name.rpartition(".")
        if parent in put_in:
            setattr(sys.modules[parent], child, stand_in)
    if _UNUSED not in there:
        sys.modules[_UNUSED] = ModuleType(_UNUSED)
        put_in.append(_UNUSED)
    return put_in
