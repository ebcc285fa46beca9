"""What somebody outside tries against a deployment's server; each ends refused, or the attack fails its test.

Each takes the operator's connection, of which it uses what the attacker of its kind would have: the address
always, the secret of one account where a member turns on the others.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import time
import warnings

from runtime.rundir import attached_meter_account
from tests.deployment.outsider import SASL, Outsider

CLOSED = (ConnectionError, ssl.SSLError, TimeoutError)

SOON_S = 15.0
"""What takes a server milliseconds, on a machine that does much else."""


def said_until_closed(client):
    """All that the server says before it hangs up, which it must; a reset takes its last words with it."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        client.received += client.until_closed().encode()
    return client.received.decode(errors="replace")


def hung_up_for_its_length(said):
    return not said or "policy-violation" in said or "stanza-too-big" in said


def answer(client, mark):
    """All up to ``mark``, or until the server hangs up, as ejabberd does where Prosody answers."""
    with contextlib.suppress(AssertionError):
        return client.until(mark)
    return client.received.decode(errors="replace")


def says_one_of(said, *words):
    """Prosody's words, and ejabberd's."""
    return any(word in said for word in words)


def talks_without_tls(connection, member):
    with Outsider(connection) as client:
        client.send(client.header)
        features = client.until("</stream:features>")
        assert "<starttls" in features
        assert "<required" in features
        assert "mechanism" not in features
        client.message(f"{member}@{connection.domain}", "buy!")
        assert says_one_of(answer(client, "</message>"), "service-unavailable", "Use of STARTTLS required")


def logs_in_without_tls(connection, member):
    with Outsider(connection) as client:
        client.send(client.header)
        client.until("</stream:features>")
        proof = base64.b64encode(f"\0{member}\0{connection.password_for(member)}".encode()).decode()
        client.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{proof}</auth>")
        assert "encryption-required" in client.until("</failure>")


def speaks_old_tls(connection, member):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # deprecated is what it is here for
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Outsider(connection) as client:
        client.send(client.header)
        client.until("</stream:features>")
        client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        client.until("<proceed")
        client.until(">")
        try:
            context.wrap_socket(client.socket)
        except (ssl.SSLError, OSError):
            return
        raise AssertionError("the server takes TLS 1.1")


def is_anonymous(connection, member):
    with Outsider(connection) as client:
        assert {*client.offered()} <= {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
        client.send(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>")
        assert "invalid-mechanism" in client.until("</failure>")


def sends_a_password_in_clear(connection, member):
    with Outsider(connection) as client:
        client.offered()
        proof = base64.b64encode(f"\0{member}\0{connection.password_for(member)}".encode()).decode()
        client.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{proof}</auth>")
        assert "invalid-mechanism" in client.until("</failure>")


def registers(connection, member):
    form = (
        "<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
        "<username>stranger</username><password>x</password></query></iq>"
    )
    with Outsider(connection) as client:
        client.offered()
        client.send(form)
        assert says_one_of(answer(client, "</iq>"), "service-unavailable", "<not-authorized")
    with Outsider(connection) as client:
        assert "<not-authorized/>" in client.authenticate("stranger", "x")


def changes_a_password(connection, member):
    with Outsider(connection) as client:
        client.log_in(member, present=False)
        client.send(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
            f"<username>{member}</username><password>x</password></query></iq>"
        )
        answer = client.until("</iq>")
        assert 'type="error"' in answer or "type='error'" in answer


def guesses_a_password(connection, member):
    for guess in ("", "password", member, connection.domain):
        with Outsider(connection) as client:
            assert "<not-authorized/>" in client.authenticate(member, guess)


def takes_a_neighbours_name(connection, member, neighbour="coordinator"):
    """With its own secret under another's name, and with its own name to act as another."""
    own = connection.password_for(member)
    with Outsider(connection) as client:
        assert "<not-authorized/>" in client.authenticate(neighbour, own)
    with Outsider(connection) as client:
        said = client.authenticate(member, as_another=f"{neighbour}@{connection.domain}")
        if "<success" in said:
            client.send(client.header)
            client.until("</stream:features>")
            client.send(
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<resource>outsider</resource></bind></iq>"
            )
            assert f"{member}@{connection.domain}/outsider" in client.until("</iq>")


def idle_beside(member):
    """An account that no agent has, to be a victim with."""
    return attached_meter_account(member.partition(".")[0], 5)


def forges_the_sender(connection, member):
    """The recipient is told who really sent it; neither gets in the way of the fleet's own sessions."""
    domain, neighbour = connection.domain, idle_beside(member)
    with Outsider(connection) as victim, Outsider(connection) as client:
        jid = victim.log_in(neighbour, present=False)
        client.log_in(member, present=False)
        client.send(f"<message from='coordinator@{domain}' to='{jid}'><body>pay me</body></message>")
        with contextlib.suppress(*CLOSED):
            client.send(f"<message to='{jid}'><body>end</body></message>")
            client.send(f"<iq type='get' id='over' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        said = answer(client, "over")
        heard = victim.ping()
        assert f"coordinator@{domain}" not in heard
        assert "invalid-from" in said or f"{member}@{domain}/outsider" in heard


def leaves_the_domain(connection, member):
    with Outsider(connection) as client:
        client.log_in(member, present=False)
        client.message("agent@elsewhere.example", "hello")
        refusal = "Communication with remote domains is not enabled", "Access denied by service policy"
        assert says_one_of(client.until("</message>"), *refusal)


def sends_too_much_before_login(connection, member):
    with Outsider(connection) as client:
        client.offered()
        client.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{'A' * 50_000}</auth>")
        assert hung_up_for_its_length(said_until_closed(client))


def sends_too_much_after_login(connection, member):
    with Outsider(connection) as client:
        client.log_in(member, present=False)
        body = "x" * 600_000
        with contextlib.suppress(*CLOSED):
            client.message(f"coordinator@{connection.domain}", body)
        assert hung_up_for_its_length(said_until_closed(client))


def keeps_contacts(connection, member, count=50):
    """A server that keeps contacts writes them all anew with each that is added."""
    contacts = "".join(
        f"<iq type='set' id='c{n}'><query xmlns='jabber:iq:roster'>"
        f"<item jid='c{n}@{connection.domain}'/></query></iq>"
        f"<presence type='subscribe' to='c{n}@{connection.domain}'/>"
        for n in range(count)
    )
    with Outsider(connection) as client:
        client.log_in(member, present=False)
        client.send(contacts)
        said = client.ping()
        assert said.count("service-unavailable") == count
        assert "<presence" not in said


def asks_an_agent(connection, member):
    """Whatever is no message reaches no other account, on whose agent it would be to take it apart."""
    domain, neighbour = connection.domain, idle_beside(member)
    with Outsider(connection) as victim, Outsider(connection) as client:
        jid = victim.log_in(neighbour, present=False)
        client.log_in(member, present=False)
        said = ""
        for to in (jid, f"{neighbour}@{domain}"):
            client.send(
                f"<presence to='{to}'/><presence type='subscribe' to='{to}'/>"
                f"<presence type='probe' to='{to}'/>"
                f"<iq type='get' id='q' to='{to}'><query xmlns='jabber:iq:version'/></iq>"
                f"<iq type='result' id='q' to='{to}'/>"
            )
            said += client.ping()
        assert said.count("service-unavailable") == 2
        client.message(jid, "the end")
        client.ping()
        heard = victim.ping()
        assert "the end" in heard
        assert "<presence" not in said + heard
        assert "jabber:iq:version" not in heard
        assert heard.count("<iq") == 1


def opens_many_sessions(connection, member, count=8):
    """An account has one session: each login ends the one before, and says why, whatever they are called."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Outsider(connection)) for _ in range(count)]
        for number, client in enumerate(clients):
            client.log_in(member, f"outsider-{number}", present=number % 2 == 0)
        *ended, last = clients
        for client in ended:
            assert "<conflict" in said_until_closed(client)
        last.ping()


MALFORMED = {
    "tags that do not close": "<message><body>x</message>",
    "control character": "<message to='a'><body>\x01</body></message>",
    "unbound prefix": "<message to='a'><evil:body>x</evil:body></message>",
    "comment": "<!-- x --><presence/>",
    "processing instruction": "<?php x ?><presence/>",
    "entity": "<message to='a'><body>&lol;</body></message>",
    "document type": "<!DOCTYPE lolz [<!ENTITY lol 'lol'>]><message to='a'><body>x</body></message>",
    "end of stream first": "</stream:stream></stream:stream><presence/>",
}


def sends_malformed_xml(connection, member, text):
    with Outsider(connection) as client:
        client.log_in(member, present=False)
        client.send(text)
        said = said_until_closed(client)
        assert not said or "<stream:error" in said or "</stream:stream>" in said, said


def sends_an_entity_bomb(connection, member):
    """A billion laughs, in the place where a document type would be read: before the stream's first tag."""
    bomb = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY a0 'lol'>"
    bomb += "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(9))
    with Outsider(connection) as client:
        began_s = time.monotonic()
        client.send(f"{bomb}]><stream:stream to='{connection.domain}' xmlns:stream='x'>&a9;")
        said = said_until_closed(client)
        assert "lollol" not in said
        assert time.monotonic() - began_s < SOON_S


def holds_connections_open(connection, member, count=300):
    """Strangers who never say a word do not keep others from logging in."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((connection.host, connection.port), 5))
        with Outsider(connection) as client:
            began_s = time.monotonic()
            client.log_in(member, present=False)
            assert time.monotonic() - began_s < SOON_S


def floods(connection, member, seconds=2.0, to="coordinator"):
    """Sends as fast as the server reads; returns the bytes that it read."""
    one = f"<message to='{to}@{connection.domain}' type='chat'><body>{'junk ' * 400}</body></message>"
    sent = 0
    with Outsider(connection) as client:
        client.log_in(member, present=False)
        client.socket.settimeout(0.5)
        end_s = time.monotonic() + seconds
        with contextlib.suppress(*CLOSED):
            while time.monotonic() < end_s:
                try:
                    client.send(one * 8)
                except TimeoutError:
                    break  # not read any more: a partly written record cannot be gone on with
                sent += 8 * len(one)
    return sent


STRANGERS = [
    talks_without_tls,
    logs_in_without_tls,
    speaks_old_tls,
    is_anonymous,
    sends_a_password_in_clear,
    registers,
    guesses_a_password,
    takes_a_neighbours_name,
    sends_too_much_before_login,
    sends_an_entity_bomb,
    holds_connections_open,
]
"""Attacks that disturb nobody's session if they are refused."""

MEMBERS = [
    changes_a_password,
    forges_the_sender,
    leaves_the_domain,
    sends_too_much_after_login,
    keeps_contacts,
    asks_an_agent,
]
"""Attacks of somebody who holds one account's secret, whose place they take."""
