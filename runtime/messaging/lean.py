"""Make SPADE cheap in the process of one agent.

``import spade`` loads SPADE's embedded XMPP server with its database and a web page, and an agent of a fleet
runs neither; logging in runs SCRAM's key derivation in Python; sending escapes each character by itself.
:func:`apply` puts that right.  It touches only what it has checked to be what it expects, and says so clearly
otherwise.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import hashlib
import importlib
import logging
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from runtime.errors import InputError, PeerwattError

_TAKES_PLACE_OF = {
    "pyjabber": (),
    "pyjabber.server": ("Server",),
    "pyjabber.server_parameters": ("Parameters",),
    "spade.web": ("WebApp",),
}
_TAKEN_BY = {"spade.container": ("Server", "Parameters"), "spade.agent": ("WebApp",)}
_LOADED_AT_LOGIN = (
    *(
        f"slixmpp.features.feature_{name}"
        for name in ("starttls", "mechanisms", "bind", "session", "rosterver", "preapproval")
    ),
    "encodings.idna",
)
_STREAM_LOG = "slixmpp.xmlstream.xmlstream"
_LOGS_CONTENT = ("Parse error", "Received data before", "Unable to parse stanza", "SEND", "RECV", "NOT SENT")


class LeanError(PeerwattError):
    """SPADE or slixmpp is not built as this version of Peerwatt expects; install the versions it pins."""


class _NoWebPage:
    """Stands for SPADE's web page, which is unauthenticated and can stop the agent."""

    def __init__(self, agent: object) -> None:
        self.agent = agent
        self.app = None
        self.runner = None

    def is_started(self) -> bool:
        return False

    def start(self, *_: object, **__: object) -> NoReturn:
        raise LeanError("SPADE's web page is not available in an agent process")


class _NoServer:
    """Stands for SPADE's embedded server, which runs in a process of its own (``python -m runtime.xmpp``)."""

    def __init__(self, *_: object, **__: object) -> None:
        raise LeanError("the embedded XMPP server is not available in an agent process")


def _import_spade() -> None:
    """Import SPADE with stand-ins for its server and its web page, then take the stand-ins away again."""
    stand_ins: dict[str, ModuleType] = {}
    for name, attributes in _TAKES_PLACE_OF.items():
        if name not in sys.modules:
            module = stand_ins[name] = ModuleType(name)
            for attribute in attributes:
                setattr(module, attribute, _NoWebPage if attribute == "WebApp" else _NoServer)
    sys.modules.update(stand_ins)
    try:
        for module_name, attributes in _TAKEN_BY.items():
            module = importlib.import_module(module_name)
            missing = [attribute for attribute in attributes if not hasattr(module, attribute)]
            if missing:
                raise LeanError(f"{module_name} was expected to import {', '.join(missing)}, but does not")
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _attribute(owner: object, name: str) -> Any:  # noqa: ANN401
    try:
        return getattr(owner, name)
    except AttributeError:
        raise LeanError(f"{owner!r} was expected to have {name}, found that it has not") from None


def _hi(
    self: Any,  # noqa: ANN401
    text: bytes,
    salt: bytes,
    iterations: int,
) -> bytes:
    """SCRAM's Hi() (RFC 5802 section 2.2), which is PBKDF2 with HMAC."""
    return hashlib.pbkdf2_hmac(self.hash().name, bytes(text), bytes(salt), iterations)


def _speed_up_login() -> None:
    mechanisms = importlib.import_module("slixmpp.util.sasl.mechanisms")
    scram = _attribute(mechanisms, "SCRAM")
    slow = _attribute(scram, "Hi")
    if slow is _hi:
        return

    class Sample:
        hash = staticmethod(hashlib.sha1)
        HMAC = _attribute(scram, "HMAC")

    try:
        same = slow(Sample(), b"pencil", b"salt", 3) == _hi(Sample(), b"pencil", b"salt", 3)
    except Exception as error:
        raise LeanError(f"slixmpp's SCRAM.Hi is not what was expected: {error}") from error
    if not same:
        raise LeanError("slixmpp's SCRAM.Hi was expected to be PBKDF2, found another function")
    scram.Hi = _hi


def escape(text: str) -> str:
    """Escape text for XML content and attributes."""
    # A tenth of the time of str.translate, which looks every character up.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("'", "&apos;").replace('"', "&quot;")


def _speed_up_escaping() -> None:
    importlib.import_module("slixmpp.xmlstream.tostring")
    # The package hides its module behind the function of the same name.
    module = sys.modules["slixmpp.xmlstream.tostring"]
    slow: Callable[..., str] = _attribute(module, "escape")
    if getattr(slow, "lean", False):
        return

    def fast(text: str, use_cdata: bool = False) -> str:
        return slow(text, use_cdata=True) if use_cdata else escape(text)

    fast.lean = True  # type: ignore[attr-defined]
    sample = "".join(map(chr, range(9, 1024))) + "\U0001f50b"
    try:
        same = slow(sample) == fast(sample)
    except Exception as error:
        raise LeanError(f"slixmpp's escape was expected to take a text: {error}") from error
    if not same:
        raise LeanError("slixmpp's escape was expected to escape & < > ' \", found otherwise")
    module.escape = fast  # type: ignore[attr-defined]


def _keep_event_loop() -> None:
    """Have SPADE take the loop that runs; it would load uvloop into each process and make it the default.

    The loop that runs by then is another one: 4 MB for nothing.
    """
    container = importlib.import_module("spade.container")
    _attribute(container, "get_or_create_eventloop")
    container.get_or_create_eventloop = asyncio.get_running_loop  # type: ignore[attr-defined]


def _hides_content(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_LOGS_CONTENT)


def _keep_bodies_out_of_logs() -> None:
    for name in ("slixmpp", "spade"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
    stream = logging.getLogger(_STREAM_LOG)
    if _hides_content not in stream.filters:
        stream.addFilter(_hides_content)


def apply() -> None:
    """Import SPADE without what an agent does not use, and speed up login and sending. Does nothing twice.

    Raises:
        LeanError: SPADE or slixmpp is not built as expected.
    """
    _import_spade()
    _speed_up_login()
    _speed_up_escaping()
    _keep_event_loop()
    _keep_bodies_out_of_logs()


@functools.lru_cache(maxsize=8)
def tls_context(ca_file: Path) -> ssl.SSLContext:
    """Return the TLS context of a process for one authority: trusts it alone, checks the server's name.

    One for all connections: loading the system's authorities takes longer than all else in a login.

    Raises:
        InputError: the file is missing or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{ca_file}: expected the authority's certificate (PEM): {error}") from error
    return context


def preload(*modules: str) -> None:
    """Import all an agent process needs, then freeze it: children of a fork server then share the memory.

    Args:
        modules: further modules the children use.
    """
    apply()
    for name in ("runtime.messaging.agent", *_LOADED_AT_LOGIN, *modules):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
