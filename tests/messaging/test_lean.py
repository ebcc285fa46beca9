"""SPADE made cheap: nothing heavy loaded, same results, a clear error where SPADE is built otherwise."""

import hashlib
import hmac
import json
import logging
import subprocess
import sys

import pytest
from slixmpp.util.sasl import mechanisms
from xmpp_servers import EmbeddedProcess

from runtime.errors import InputError
from runtime.messaging import lean
from runtime.xmpp.authority import ensure_credentials

lean.apply()
HEAVY = [
    "pyjabber",
    "sqlalchemy",
    "alembic",
    "jinja2",
    "pandas",
    "scipy",
    "matplotlib",
    "typer",
    "rich",
    "aioxmpp",
]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_an_agent_process_loads_nothing_heavy():
    loaded = json.loads(
        run_python("import runtime.messaging.agent, sys, json; print(json.dumps(list(sys.modules)))")
    )
    assert [name for name in HEAVY if name in loaded] == []
    assert "spade.agent" in loaded
    assert "spade.web" not in loaded


def test_preload_imports_the_agent_and_freezes_it():
    out = run_python(
        "from runtime.messaging.lean import preload; preload('wave'); import sys, gc;"
        "print(*(name in sys.modules for name in ('runtime.messaging.agent', 'wave')));"
        "print(gc.get_freeze_count() > 10000)"
    )
    assert out.split() == ["True", "True", "True"]


def test_a_preloaded_agent_loads_nothing_more_to_connect(tmp_path):
    server = EmbeddedProcess(tmp_path)
    server.start()
    try:
        loaded = run_python(
            "import asyncio, gc, sys; from pathlib import Path; from runtime.messaging.lean import preload\n"
            "preload('runtime.messaging.agent')\n"
            "from runtime.messaging.agent import ConnectedAgent\n"
            "from runtime.messaging.connection import Connection\n"
            "async def connect():\n"
            f"    connection = Connection.load(Path({str(tmp_path)!r}, 'connection.json'))\n"
            "    agent = ConnectedAgent(connection, 'meter')\n"
            "    await asyncio.wait_for(agent.start(), 10)\n"
            "    await agent.stop()\n"
            "before = set(sys.modules)\n"
            "asyncio.run(connect())\n"
            "print(sorted(set(sys.modules) - before))\n"
        )
    finally:
        server.kill()
    assert loaded.strip() == "[]"


def test_the_real_server_can_still_be_imported_afterwards():
    out = run_python(
        "from runtime.messaging import lean; lean.apply(); import pyjabber; print(pyjabber.Server)"
    )
    assert "pyjabber.server.Server" in out


def test_spade_without_what_is_replaced_is_an_error():
    out = run_python(
        "import sys, types; from runtime.messaging import lean\n"
        "sys.modules['spade.container'] = types.ModuleType('spade.container')\n"
        "try: lean._import_spade()\n"
        "except lean.LeanError as error: print(error)"
    )
    assert "spade.container" in out
    assert "Server" in out


def test_the_key_derivation_is_scrams():
    # RFC 5802 section 5: user "user", password "pencil".
    client = mechanisms.SCRAM.__new__(mechanisms.SCRAM)
    client.hash = hashlib.sha1
    salted = client.Hi(b"pencil", bytes.fromhex("4125c247e43ab1e93c6dff76"), 4096)
    stored_key = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1")).digest()
    assert mechanisms.SCRAM.Hi is lean._hi
    # The server stores this key for that user (computed from the RFC's ClientProof).
    nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
    message = (
        f"n=user,r=fyko+d2lbbFgONRv9qkxdawL,r={nonce},s=QSXCR+Q6sek8bf92,i=4096,c=biws,r={nonce}"
    ).encode()
    signature = hmac.digest(stored_key, message, "sha1")
    proof = bytes(a ^ b for a, b in zip(hmac.digest(salted, b"Client Key", "sha1"), signature, strict=True))
    import base64

    assert base64.b64encode(proof).decode() == "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="


@pytest.mark.parametrize("broken", [lambda self, text, salt, iterations: b"x", lambda self: b""])
def test_another_key_derivation_is_not_replaced(monkeypatch, broken):
    monkeypatch.setattr(mechanisms.SCRAM, "Hi", broken)
    with pytest.raises(lean.LeanError, match=r"SCRAM\.Hi"):
        lean._speed_up_login()


@pytest.mark.parametrize("broken", [lambda text, use_cdata=False: text, lambda: ""])
def test_another_escape_is_not_replaced(monkeypatch, broken):
    monkeypatch.setattr(sys.modules["slixmpp.xmlstream.tostring"], "escape", broken)
    with pytest.raises(lean.LeanError, match="escape"):
        lean._speed_up_escaping()


def test_a_missing_attribute_is_named(monkeypatch):
    monkeypatch.delattr(mechanisms, "SCRAM")
    with pytest.raises(lean.LeanError, match="SCRAM"):
        lean._speed_up_login()


def test_escaping_keeps_both_ways():
    escape = sys.modules["slixmpp.xmlstream.tostring"].escape
    assert escape.lean
    assert escape("a<b>&\"c'é") == "a&lt;b&gt;&amp;&quot;c&apos;é"
    assert escape("a<b", use_cdata=True) == "<![CDATA[a<b]]>"


def test_libraries_do_not_log_bodies(caplog):
    caplog.set_level(logging.DEBUG)
    stream = logging.getLogger("slixmpp.xmlstream.xmlstream")
    stream.debug("SEND: %s", "body")
    stream.error("Parse error: %r", "body")
    logging.getLogger("spade.Agent").debug("Got message: body")
    assert "body" not in caplog.text
    stream.error("Exception raised in send queue")
    assert "send queue" in caplog.text


def test_one_tls_context_per_authority(tmp_path):
    ca_file = ensure_credentials(tmp_path, "peerwatt.localhost").ca_file
    context = lean.tls_context(ca_file)
    assert lean.tls_context(ca_file) is context
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(InputError, match=str(path)):
        lean.tls_context(path)
