"""The parts of pyjabber the embedded server is built on: parser, queue, negotiator, handlers and protocol.

The rest of pyjabber stays out: its database, presence, extensions, admin page and server-to-server links are
not used, take most of a second to import, and are where messages and accounts get lost.  Stand-ins keep their
place.  All of this, and what the modules here replace, holds for one version only.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from runtime.errors import PeerwattError

PYJABBER_VERSION = "0.4.5"

_STAND_INS = {
    "pyjabber.features.presence.PresenceFeature": "Presence",
    "pyjabber.plugins.PluginManager": "PluginManager",
    "pyjabber.features.SASL.SASL": "SASL",
}


class PyjabberError(PeerwattError):
    """pyjabber is not the version, or not built the way, the embedded server is made for."""


class _NotUsed:
    def __init__(self, *_: object) -> NoReturn:
        raise PyjabberError("a part of pyjabber that the embedded server does not use was called")


def require_version() -> None:
    """Check that pyjabber is the one version whose inner parts are known.

    Raises:
        PyjabberError: it is another, or not installed.
    """
    try:
        found = metadata.version("pyjabber")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != PYJABBER_VERSION:
        raise PyjabberError(
            f"the embedded XMPP server is built on pyjabber {PYJABBER_VERSION} exactly, found {found}: "
            f"pip install pyjabber=={PYJABBER_VERSION}"
        )


def _place_stand_ins() -> None:
    if "pyjabber" not in sys.modules:
        # The package without its __init__, which imports everything.
        found = importlib.util.find_spec("pyjabber")
        if found is None or found.origin is None:
            raise PyjabberError("pyjabber is installed but cannot be found")
        package = ModuleType("pyjabber")
        package.__path__ = [str(Path(found.origin).parent)]
        package.__spec__ = found
        sys.modules["pyjabber"] = package
    for name, attribute in _STAND_INS.items():
        if name not in sys.modules:
            module = ModuleType(name)
            setattr(module, attribute, _NotUsed)
            sys.modules[name] = module


require_version()
_place_stand_ins()

try:
    from pyjabber.features.Features import start_tls_proceed_response
    from pyjabber.features.StreamFeature import StreamFeature
    from pyjabber.network.parsers.XMLParser import XMLParser
    from pyjabber.network.protocols.XMLProtocol import XMLProtocol
    from pyjabber.stream.handlers.StanzaHandler import StanzaHandler
    from pyjabber.stream.negotiators.StreamNegotiator import StreamNegotiator
    from pyjabber.stream.QueueBridge import QueueBridge
    from pyjabber.stream.utils.Enums import Signal, Stage
    from pyjabber.stream.utils.Stream import Stream
except ImportError as error:
    raise PyjabberError(f"pyjabber {PYJABBER_VERSION} was expected to be whole: {error}") from error

__all__ = [
    "QueueBridge",
    "Signal",
    "Stage",
    "StanzaHandler",
    "Stream",
    "StreamFeature",
    "StreamNegotiator",
    "XMLParser",
    "XMLProtocol",
    "start_tls_proceed_response",
]
