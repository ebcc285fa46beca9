"""The record that a server keeps of messages: Prosody's module and the embedded server write the same."""

import json
import time
from hashlib import sha256
from xml.etree import ElementTree

import pytest

from runtime.messagelog.server_record import RECORD_FILE
from runtime.xmpp.routing import Router
from tests.deployment.outsider import Outsider
from tests.messaging.xmpp_servers import DOMAIN, EmbeddedProcess, ProsodyProcess
from tests.xmpp.raw_client import RawClient


def form(**fields):
    written = "".join(
        f'<field var="{name.replace("_", "-")}" type="text-single"><value>{value}</value></field>'
        for name, value in fields.items()
    )
    return f'<x xmlns="jabber:x:data" type="form">{written}<title>spade:x:metadata</title></x>'


FORM = form(performative="inform", protocol="market", reply_with="1", secret="not in it")
THREAD = '<field var="_thread_node" type="text-single"><value>from form</value></field><title>'
TO = f'to="member-001@{DOMAIN}"'
EMPTY = {"body_bytes": 0}


def said(body, **more):
    data = body.encode()
    return {"body_bytes": len(data), "body_sha256": sha256(data).hexdigest(), **more}


FIELDS = {"fields": {"performative": "inform", "protocol": "market", "reply-with": "1"}}
STANZAS = {
    "as our agents write it": (
        f'<message {TO} id="m1" type="chat">'
        f"<body>{{&quot;a&quot;: &lt;1&gt; &amp;amp; &apos;}}</body>{FORM}</message>",
        said('{"a": <1> &amp; \'}', **FIELDS, stanza_id="m1", type="chat"),
    ),
    "a thread in the form": (
        f"<message {TO}><body>b</body>{FORM.replace('<title>', THREAD)}</message>",
        said("b", **FIELDS, thread="from form"),
    ),
    "references to characters": (
        f"<message {TO}><body>&#8364;&#x41;</body>{FORM}</message>",
        said("€A", **FIELDS),
    ),
    "what only looks like one": (
        f"<message {TO}><body>&amp;#65; &quot;</body>{FORM}</message>",
        said('&#65; "', **FIELDS),
    ),
    "letters beyond ASCII": (
        f"<message {TO}><body>Zähler €</body>{FORM}</message>",
        said("Zähler €", **FIELDS),
    ),
    "a thread of its own": (
        f"<message {TO}><thread>t</thread><body>b</body>{FORM}</message>",
        said("b", **FIELDS, thread="t"),
    ),
    "the thread's element before the form's field": (
        f"<message {TO}><thread>t</thread><body>b</body>{FORM.replace('<title>', THREAD)}</message>",
        said("b", **FIELDS, thread="t"),
    ),
    "no form": (f"<message {TO}><body>b</body></message>", said("b")),
    "no body": (f"<message {TO}>{FORM}</message>", {**EMPTY, **FIELDS}),
    "an error": (f'<message {TO} type="error"><body>b</body></message>', said("b", type="error")),
    "a long field": (
        f"<message {TO}><body>b</body>{form(protocol='x' * 999)}</message>",
        said("b", fields={"protocol": "x" * 200}),
    ),
    "CDATA": (f"<message {TO}><body><![CDATA[<b>]]></body>{FORM}</message>", said("<b>", **FIELDS)),
}


class Recording:
    """A server that keeps a record."""

    def __init__(self, kind, directory):
        self.path = directory / RECORD_FILE
        self.client = RawClient if kind == "embedded" else Outsider
        if kind == "embedded":
            self.path.touch()
            self.server = EmbeddedProcess(directory)
        else:
            self.server = ProsodyProcess(directory, record=self.path)

    def lines(self):
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


@pytest.fixture(scope="module", params=["embedded", "prosody"])
def recording(request, tmp_path_factory):
    recording = Recording(request.param, tmp_path_factory.mktemp(request.param))
    recording.connection = recording.server.start()
    yield recording
    recording.server.kill()


@pytest.fixture
def own(request, tmp_path):
    """A server of the test's own, which it may kill."""
    recording = Recording(request.param, tmp_path)
    yield recording
    recording.server.kill()


@pytest.mark.parametrize("what", list(STANZAS))
def test_what_is_said_is_recorded_alike(recording, what):
    stanza, expected = STANZAS[what]
    before = len(recording.lines())
    began_s = time.time()
    with recording.client(recording.connection) as client:
        client.log_in("member-000")
        client.send(stanza)
        line = awaited(lambda: recording.lines()[before:])[0]
    assert began_s - 0.01 <= line.pop("time_unix_s") <= time.time() + 0.01
    sender, resource = line.pop("sender").split("/")
    assert (sender, bool(resource)) == (f"member-000@{DOMAIN}", True)
    assert line == {"recipient": f"member-001@{DOMAIN}", **expected}


def awaited(look):
    deadline_s = time.monotonic() + 5
    while not (found := look()):
        assert time.monotonic() < deadline_s, "nothing within 5 s"
        time.sleep(0.01)
    return found


def test_a_forged_sender_is_recorded_as_the_account_that_logged_in(recording):
    before = len(recording.lines())
    with recording.client(recording.connection) as client:
        client.log_in("member-000")
        client.send(f'<message {TO} from="member-002@{DOMAIN}/agent"><body>b</body></message>')
        time.sleep(0.2)
        senders = {line["sender"].partition("/")[0] for line in recording.lines()[before:]}
    assert "member-002" not in str(senders)


def test_a_message_that_waits_for_its_recipient_is_there_once(recording):
    before = len(recording.lines())
    with recording.client(recording.connection) as client:
        client.log_in("member-000")
        client.send(f'<message to="member-050@{DOMAIN}" type="chat"><body>waits</body></message>')
        awaited(lambda: recording.lines()[before:])
    with recording.client(recording.connection) as client:
        client.log_in("member-050")
        client.send("<presence/>")
        assert "waits" in client.until("waits")
    assert len(recording.lines()) == before + 1


@pytest.mark.parametrize("own", ["embedded", "prosody"], indirect=True)
def test_a_server_that_was_killed_ends_half_a_line_and_goes_on(own):
    own.server.start()
    awaited(lambda: own.path.exists() and own.lines())
    own.server.kill()
    with own.path.open("ab") as file:
        file.write(b'{"time_unix_s":17')
    own.server.start()
    first, torn, last = awaited(
        lambda: own.path.read_bytes().count(b"\n") == 3 and own.path.read_bytes().splitlines()
    )
    assert torn == b'{"time_unix_s":17'
    assert list(json.loads(first)) == list(json.loads(last)) == ["opened_unix_s"]


def test_the_embedded_server_keeps_no_record_unless_one_was_begun(tmp_path):
    server = EmbeddedProcess(tmp_path)
    connection = server.start()
    try:
        with RawClient(connection) as client:
            client.log_in("member-000")
            client.send(f"<message {TO}><body>b</body></message>")
            time.sleep(0.1)
    finally:
        server.kill()
    assert not (tmp_path / RECORD_FILE).exists()


def test_a_message_that_cannot_be_recorded_is_not_carried():
    class Line:
        def __init__(self):
            self.sent = []

        def send_bytes(self, data):
            self.sent.append(data)

    def record(sender, message):
        raise OSError("disk full")

    router, line = Router("x", {"a", "b"}.__contains__, record), Line()
    router.set_available(router.bind("b", "r", line), True)
    with pytest.raises(OSError, match="disk full"):
        router.route(
            router.bind("a", "r", Line()), ElementTree.Element("{jabber:client}message", {"to": "b@x"})
        )
    assert line.sent == []
