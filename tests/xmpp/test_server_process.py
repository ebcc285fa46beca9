"""The server as a process: its files, its port, its end."""

import json
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from raw_client import RawClient

from runtime.errors import InputError
from runtime.xmpp.accounts import check_accounts


def test_it_is_ready_after_little_work_and_says_where(start_server):
    server = start_server(accounts=[f"member-{number}" for number in range(300)])
    used = psutil.Process(server.process.pid).cpu_times()
    assert json.loads(server.first_line) == {"ready": {"port": server.connection.port}}
    assert used.user + used.system < 0.8, "about 0.25 s of CPU time are usual"
    assert server.connection.host == "127.0.0.1"
    with RawClient(server.connection) as client:
        client.log_in("member-299")


def test_it_listens_on_one_loopback_port_and_starts_no_children(start_server):
    server = start_server()
    process = psutil.Process(server.process.pid)
    listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", server.connection.port)]
    assert process.children() == []


def test_the_end_of_standard_input_ends_it(start_server):
    server = start_server()
    with RawClient(server.connection) as client:
        client.log_in("a")
        server.process.stdin.close()
        assert "system-shutdown" in client.until_closed()
    assert server.process.wait(20) == 0
    server.process.stdin = None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(start_server, number):
    server = start_server()
    server.process.send_signal(number)
    _, errors = server.process.communicate(timeout=20)
    assert (server.process.returncode, errors) == (0, "")


def test_a_killed_server_frees_its_port_and_its_clients(start_server):
    server = start_server()
    with RawClient(server.connection) as client:
        client.log_in("a")
        server.process.kill()
        client.until_closed()
    server.process.wait(20)
    again = start_server(port=server.connection.port)
    assert again.connection == server.connection
    with RawClient(again.connection) as client:
        client.log_in("a")


def test_a_restart_keeps_authority_and_passwords(start_server, tmp_path):
    first = start_server()
    password = first.connection.password_for("a")
    kept = {name: (tmp_path / name).read_bytes() for name in ("ca.pem", "server.pem", "secrets/a")}
    first.end()
    second = start_server()
    assert second.connection.password_for("a") == password
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept


def test_a_taken_port_is_said(start_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = start_server(port=taken.getsockname()[1])
        _, errors = server.process.communicate(timeout=20)
    assert server.process.returncode == 1
    assert "cannot listen on 127.0.0.1" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("{", "JSON list"),
        ('{"a": 1}', "found dict"),
        ('["a", "a"]', "'a' is there twice"),
        ('["A"]', "account 'A'"),
        ('["a b"]', "account 'a b'"),
        ('["a@b"]', "account 'a@b'"),
        ("[1]", "account 1"),
        ('[""]', "account ''"),
    ],
)
def test_wrong_accounts_are_said_in_one_line(tmp_path, content, said):
    path = tmp_path / "accounts.json"
    if content is not None:
        path.write_text(content)
    result = subprocess.run(
        [sys.executable, "-m", "runtime.xmpp", "--dir", tmp_path, "--accounts", path],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 1
    assert said in result.stderr
    assert str(path) in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_usual_account_names_pass():
    check_accounts(["member-01", "coordinator", "zähler", "meter.pv"], "here")
    with pytest.raises(InputError, match="here"):
        check_accounts(["\n"], "here")


def test_another_pyjabber_is_refused(monkeypatch):
    from runtime.xmpp import parts

    monkeypatch.setattr(parts.metadata, "version", lambda name: "0.4.6")
    with pytest.raises(parts.PyjabberError, match=r"0\.4\.5 exactly, found 0\.4\.6"):
        parts.require_version()


def test_no_content_is_logged(start_server):
    server = start_server()
    with RawClient(server.connection) as client:
        client.log_in("a")
        client.message("b@peerwatt.localhost", "confidential")
        client.send("<message><body>confidential</message>")
        client.until_closed()
    os.kill(server.process.pid, signal.SIGTERM)
    _, errors = server.process.communicate(timeout=20)
    assert "sent no XMPP" in errors
    assert "confidential" not in errors
