"""Opening a stream with the embedded server, politely and otherwise."""

import base64

import pytest
from raw_client import RawClient

DOMAIN = "peerwatt.localhost"


@pytest.fixture
def client(connection):
    with RawClient(connection) as client:
        yield client


def test_the_stream_header_names_the_server(client):
    client.send(client.header)
    assert f"from='{DOMAIN}'" in client.until("</stream:features>")


def test_nothing_but_encryption_is_offered_first(client):
    client.send(client.header)
    features = client.until("</stream:features>")
    assert "xmpp-tls" in features
    assert "mechanism" not in features
    client.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>")
    assert "not-authorized" in client.until_closed()


def test_a_stream_sent_with_the_end_of_the_handshake_is_answered(connection):
    for _ in range(20):
        with RawClient(connection) as client:
            client.secure(client.header)
            assert "PLAIN" in client.until("</stream:features>")


def test_every_stream_may_begin_with_an_xml_declaration(client):
    assert client.header.startswith("<?xml")
    assert client.log_in("a", "kitchen") == f"a@{DOMAIN}/kitchen"


def test_without_a_resource_one_is_given(client):
    full_jid = client.log_in("a", "")
    assert full_jid.startswith(f"a@{DOMAIN}/")
    assert len(full_jid) > len(f"a@{DOMAIN}/") + 16


def test_another_domain_is_unknown(connection):
    with RawClient(connection, "elsewhere.localhost") as client:
        client.send(client.header)
        assert "host-unknown" in client.until_closed()


@pytest.mark.parametrize(("account", "password"), [("a", "wrong"), ("a", ""), ("stranger", "x"), ("", "")])
def test_a_wrong_login_is_refused_and_the_connection_closed(client, account, password):
    client.authenticate(account, password)
    assert "<not-authorized/>" in client.until_closed()


@pytest.mark.parametrize(
    ("mechanism", "proof"),
    [
        ("PLAIN", "???"),
        ("PLAIN", ""),
        ("PLAIN", base64.b64encode(b"\xff\0\xff\0\xff").decode()),
        ("EXTERNAL", ""),
        ("ANONYMOUS", ""),
    ],
)
def test_a_malformed_login_is_refused(client, mechanism, proof):
    client.secure(client.header)
    client.until("</stream:features>")
    client.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{proof}</auth>")
    assert "<not-authorized/>" in client.until_closed()


def test_one_account_cannot_act_for_another(client, connection):
    client.secure(client.header)
    client.until("</stream:features>")
    text = f"b@{DOMAIN}\0a\0{connection.password_for('a')}"
    proof = base64.b64encode(text.encode()).decode()
    client.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>")
    assert "<not-authorized/>" in client.until_closed()


def test_registration_is_neither_offered_nor_done(connection):
    with RawClient(connection) as client:
        client.secure(client.header)
        assert "register" not in client.until("</stream:features>")
        client.send(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
            "<username>new</username><password>new</password></query></iq>"
        )
        assert "not-authorized" in client.until_closed()
    with RawClient(connection) as client:
        client.authenticate("new", "new")
        assert "<not-authorized/>" in client.until_closed()


def test_clear_text_behind_starttls_is_not_taken_into_the_encrypted_stream(client):
    client.send(client.header)
    client.until("</stream:features>")
    client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><iq type='get' id='injected'/>")
    assert "proceed" not in client.until_closed()


@pytest.mark.parametrize(
    "text",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "<stream/>",
        "\x01\x02",
    ],
)
def test_what_is_no_stream_is_cut_off(client, text):
    client.send(text)
    assert "features" not in client.until_closed()


def test_a_document_type_is_cut_off(client):
    declaration, _, rest = client.header.partition("?>")
    client.send(f"{declaration}?><!DOCTYPE s [<!ENTITY a 'x'>]>{rest}")
    assert "features" not in client.until_closed()


def test_messages_before_login_go_nowhere(client):
    client.secure(client.header)
    client.until("</stream:features>")
    client.message(f"a@{DOMAIN}", "hello")
    assert "not-authorized" in client.until_closed()


def test_clients_that_leave_in_the_middle_harm_nobody(connection):
    for _ in range(30):
        with RawClient(connection) as client:
            client.authenticate("a")
        with RawClient(connection) as client:
            client.send(client.header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    for account in ("a", "b", "c"):
        with RawClient(connection) as client:
            client.log_in(account)
            client.ping()


def test_a_client_that_does_not_trust_the_certificate_harms_nobody(connection, client):
    client.send(client.header)
    client.until("</stream:features>")
    client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    client.until("proceed")
    client.socket.sendall(b"this is no handshake")
    client.until_closed()
    with RawClient(connection) as other:
        other.log_in("a")
        other.ping()
