"""``peerwatt run --xmpp HOST --accounts FILE``: on a Prosody that somebody else runs, as Debian's would."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli.commands import app
from runtime.errors import InputError
from runtime.messaging.connection import Connection
from runtime.messaging.taken_place import BESIDE_EVENT
from runtime.rundir import COORDINATOR
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.existing import visitor
from runtime.xmpp.handshake import serves
from runtime.xmpp.local import free_port
from tests.end_to_end.fleets import call, eventually, fleet, peerwatt, still_running
from tests.end_to_end.street import MEMBERS, write_street
from tests.messaging.recording_agent import RecordingAgent, inform

DOMAIN = "street.example"

CONFIGURATION = """
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
log = {{ info = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{ "saslauth", "tls", "roster", "disco", "ping", "offline" }}
modules_disabled = {{ "s2s" }}
authentication = "internal_hashed"
ssl = {{ key = "{folder}/server.key.pem"; certificate = "{folder}/server.pem" }}
VirtualHost "{domain}"
"""


class TheirProsody:
    """A server that is there before any run and stays, with a file of accounts that exist on it."""

    def __init__(self, folder: Path, scenario: Path) -> None:
        assert shutil.which("prosody"), "tested against a real Prosody: apt-get install prosody"
        self.folder = folder
        self.port = free_port()
        self.at = f"127.0.0.1:{self.port}"
        self.ca_file = ensure_credentials(folder, DOMAIN).ca_file
        self.accounts = folder / "accounts.toml"
        (folder / "data").mkdir()
        (folder / "prosody.cfg.lua").write_text(
            CONFIGURATION.format(folder=folder, port=self.port, domain=DOMAIN)
        )
        self.command("xmpp", "accounts", scenario, "--domain", DOMAIN, "--authority", self.ca_file, "--out")
        with (folder / "prosody.out").open("wb") as out:
            self.process = subprocess.Popen(
                ["prosody", "-F", "--config", folder / "prosody.cfg.lua"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        eventually(lambda: serves(self.connection), (folder / "prosody.out").read_text(), 20.0)
        script = folder / "register.sh"
        self.command("xmpp", "register", self.accounts, "--server", "prosody", "--out", script, out=False)
        self.run("sh", script)

    def command(self, *words: object, out: bool = True) -> None:
        done = call(*words, *([self.accounts] if out else []))
        assert done.returncode == 0, done.stderr

    def run(self, *command: str | Path, said: str = "") -> None:
        """Do something as the server's administrator."""
        subprocess.run(
            command,
            input=said,
            text=True,
            check=True,
            timeout=60,
            capture_output=True,
            env={**os.environ, "PROSODYCTL": f"prosodyctl --config {self.folder}/prosody.cfg.lua"},
        )

    def passwd(self, account: str, password: str) -> None:
        config = ("--config", self.folder / "prosody.cfg.lua")
        self.run("prosodyctl", *config, "passwd", f"{account}@{DOMAIN}", said=f"{password}\n{password}\n")

    @property
    def authority(self) -> str:
        """The line that names the authority, wherever the file is."""
        return f'authority = "{self.ca_file}"'

    @property
    def passwords(self) -> dict[str, str]:
        passwords: dict[str, str] = tomllib.loads(self.accounts.read_text())["passwords"]
        return passwords

    @property
    def connection(self) -> Connection:
        secrets_dir = self.folder / "secrets"
        secrets_dir.mkdir(exist_ok=True)
        for account, password in self.passwords.items():
            (secrets_dir / account).write_text(password)
        return Connection(
            domain=DOMAIN, host="127.0.0.1", port=self.port, ca_file=self.ca_file, secrets_dir=secrets_dir
        )

    def changed(self, target: Path, *changes: tuple[str, str]) -> Path:
        """A copy of the accounts' file elsewhere, changed."""
        text = self.accounts.read_text().replace('authority = "ca.pem"', self.authority)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        target.touch(mode=0o600)
        target.write_text(text)
        return target

    def with_password(self, target: Path, account: str, password: str) -> Path:
        return self.changed(target, (self.passwords[account], password))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[TheirProsody]:
    folder = tmp_path_factory.mktemp("theirs")
    theirs = TheirProsody(folder, write_street(folder))
    yield theirs
    assert theirs.process.poll() is None, "no run stops a server that it did not start"
    theirs.stop()


@pytest.fixture(scope="module")
def embedded_ledger(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("embedded")
    with fleet(write_street(folder), folder) as run:
        run.succeed()
        return (run.path / "ledger.csv").read_bytes()


async def leave_a_message(connection: Connection) -> None:
    """As a coordinator that was killed does for a member that was gone."""
    agent = RecordingAgent(connection, COORDINATOR)
    await asyncio.wait_for(agent.start(), 20)
    agent.transmit(inform(agent.bare_jid, connection.jid("farm"), conversation="session-0"))
    seen = inform(agent.bare_jid, agent.bare_jid)
    agent.transmit(seen)
    await agent.until(lambda: seen in agent.envelopes, 20)
    await agent.stop()


def test_a_run_has_the_embedded_servers_ledger_and_tells_no_password(tmp_path, server, embedded_ledger):
    asyncio.run(leave_a_message(server.connection))
    with fleet(write_street(tmp_path), tmp_path, "--xmpp", server.at, "--accounts", server.accounts) as run:
        run.await_slot(1)
        lines = [" ".join(process.cmdline()) for process in run.descendants()]
        told = run.succeed()
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger
    assert "dropped 1 message that waited" in told
    kept = run.path / "server" / "secrets"
    written = [path for path in run.path.rglob("*") if path.is_file() and path.parent != kept]
    texts = [*lines, told, *(path.read_bytes().decode(errors="replace") for path in written)]
    assert len(written) > 20
    for password in server.passwords.values():
        assert not [text for text in texts if password in text]
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}


def test_a_run_goes_on_there_once_its_fleet_was_killed_and_a_password_changed(
    tmp_path, server, embedded_ledger
):
    given = ("--xmpp", server.at, "--accounts", server.accounts)
    with fleet(write_street(tmp_path), tmp_path, *given) as run:
        run.await_slot(4)
        agents = run.descendants()
        run.process.kill()
        eventually(lambda: not still_running(agents), "agents leave with the fleet that started them")
    server.passwd("farm", "another one")
    try:
        refused = call("resume", run.path)
        assert refused.returncode == 2
        assert "refuses accounts of street.example" in refused.stderr
        assert refused.stderr.strip().endswith(": farm")
        kept = run.path / "server" / "secrets" / "farm"
        wrong = server.with_password(tmp_path / "wrong.toml", "farm", "a third one")
        assert call("resume", run.path, "--accounts", wrong).returncode == 2
        assert kept.read_text().strip() == server.passwords["farm"], "what is refused replaces nothing"
        changed = server.with_password(tmp_path / "changed.toml", "farm", "another one")
        done = call("resume", run.path, "--accounts", changed, "--no-figures", timeout_s=120)
        assert done.returncode == 0, done.stderr
        assert kept.read_text().strip() == "another one"
    finally:
        server.passwd("farm", server.passwords["farm"])
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger


def refused(tmp_path: Path, *options: object) -> str:
    """What a run is refused with, before anything is started or written."""
    done = call("run", write_street(tmp_path), "--runs", tmp_path / "runs", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()
    (said,) = done.stderr.splitlines()
    return said.removeprefix("error: ")


def test_passwords_that_are_refused_are_all_named(tmp_path, server):
    wrong = server.with_password(tmp_path / "one.toml", "home", "nonsense")
    wrong.write_text(wrong.read_text().replace(server.passwords["flat.meter"], "nonsense too"))
    said = refused(tmp_path, "--xmpp", server.at, "--accounts", wrong)
    assert said.startswith(f"XMPP server {server.at}: refuses accounts of {DOMAIN} ")
    assert said.endswith(": home, flat.meter")
    assert "nonsense" not in said


def test_accounts_that_are_missing_are_all_named(tmp_path, server):
    lines = server.accounts.read_text().splitlines(keepends=True)
    few = tmp_path / "few.toml"
    few.touch(mode=0o600)
    few.write_text("".join(line for line in lines if not line.startswith(('"farm', '"flat"'))))
    said = refused(tmp_path, "--xmpp", server.at, "--accounts", few)
    assert said == f"{few}: passwords: missing: flat, farm, farm.meter"


def test_a_server_of_another_authority_is_refused(tmp_path, server):
    other = ensure_credentials(tmp_path / "other", DOMAIN).ca_file
    wrong = server.changed(tmp_path / "accounts.toml", (server.authority, f'authority = "{other}"'))
    said = refused(tmp_path, "--xmpp", server.at, "--accounts", wrong)
    assert "certificate is not accepted" in said
    assert said.endswith(f"expected one that proves to be {DOMAIN}")


def test_a_server_of_another_name_is_refused(tmp_path, server):
    wrong = server.changed(tmp_path / "accounts.toml", (f'domain = "{DOMAIN}"', 'domain = "lane.example"'))
    said = refused(tmp_path, "--xmpp", server.at, "--accounts", wrong)
    assert said.startswith(f"XMPP server {server.at}: ")


def test_a_server_that_is_not_there_is_named(tmp_path, server):
    nowhere = f"127.0.0.1:{free_port()}"
    said = refused(tmp_path, "--xmpp", nowhere, "--accounts", server.accounts)
    assert said.startswith(f"XMPP server {nowhere}: cannot connect")


def test_what_is_no_xmpp_server_is_refused(tmp_path, server, monkeypatch):
    monkeypatch.setattr(visitor, "ATTEMPT_LIMIT_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = f"127.0.0.1:{listener.getsockname()[1]}"
        words = ("run", write_street(tmp_path), "--runs", tmp_path / "runs")
        words = (*words, "--xmpp", at, "--accounts", server.accounts)
        done = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == f"XMPP server {at}: no login within 2 s"
    assert not (tmp_path / "runs").exists()


def test_accounts_in_use_are_left_alone(tmp_path, server, caplog):
    async def hold_and_try() -> str:
        agent = RecordingAgent(server.connection, COORDINATOR)
        await asyncio.wait_for(agent.start(), 20)
        said = await asyncio.to_thread(refused, tmp_path, "--xmpp", server.at, "--accounts", server.accounts)
        assert (agent.connected, agent.disconnects) == (True, 0)
        await agent.stop()
        return said

    said = asyncio.run(hold_and_try())
    assert said.endswith(f"accounts are in use, by another run or another program: {COORDINATOR}")
    (alarm,) = [each for each in caplog.records if each.message == BESIDE_EVENT]
    assert (alarm.agent, alarm.levelname) == (COORDINATOR, "ERROR")
    assert f"another session of {COORDINATOR}@{DOMAIN} is logged in, as 'check'" in alarm.fields["reason"]


def test_what_does_not_go_together_is_refused(tmp_path, server):
    given = ("--xmpp", server.at, "--accounts", server.accounts)
    assert "keeps what its configuration says" in refused(tmp_path, *given, "--server-record")
    assert "--accounts FILE" in refused(tmp_path, "--xmpp", server.at)
    assert "expected HOST or HOST:PORT" in refused(tmp_path, "--xmpp", "127.0.0.1:port")
    readable = server.changed(tmp_path / "accounts.toml")
    readable.chmod(0o640)
    said = refused(tmp_path, "--xmpp", server.at, "--accounts", readable)
    assert "mode 0640" in said
    assert f"chmod 600 {readable}" in said


def test_all_accounts_are_checked_with_whom_the_system_trusts(server, tmp_path):
    public = server.changed(tmp_path / "accounts.toml", (server.authority, 'authority = "system"'))
    command = peerwatt("xmpp", "check", public, "--xmpp", server.at, "--json")
    checked = subprocess.run(
        command,
        env={**os.environ, "SSL_CERT_FILE": str(server.ca_file)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr
    meters = [f"{member}.meter" for member in MEMBERS]
    assert json.loads(checked.stdout) == {"domain": DOMAIN, "accounts": [COORDINATOR, *MEMBERS, *meters]}
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "certificate is not accepted" in refused.stderr
