"""What a deployment is made of: handouts, verifiers, rotation, invitations."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli.commands import app
from runtime.cli.prepare import prepare_run
from runtime.deployment.address import Address
from runtime.deployment.deployment import Deployment
from runtime.deployment.placement import Placement
from runtime.deployment.verifiers import load_verifiers, verifier_of
from runtime.errors import InputError
from runtime.messaging.connection import Connection
from runtime.rundir import RunDirectory, accounts_of, attached_meter_account
from tests.scenario.scenarios import write

MEMBERS = ["house", "school"]


def prepared(folder: Path, dashboard: str | None = "192.0.2.7:8800") -> Deployment:
    outside = "192.0.2.7:15222"
    return prepare_run(str(write(folder)), folder / "run", None, "xmpp", outside, dashboard=dashboard)


def secrets_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((folder / "secrets").iterdir())}


def peerwatt(*arguments: object):
    return CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)


def test_each_process_is_handed_the_secrets_of_its_own_accounts_only(tmp_path):
    deployment = prepared(tmp_path)
    assert {*secrets_in(deployment.operator_dir)} == {*accounts_of(MEMBERS)}
    handed = {
        holder: {*secrets_in(deployment.handout(holder))}
        for holder in ("coordinator", "meters", "prosumer-house", "prosumer-school")
    }
    assert handed == {
        "coordinator": {"coordinator"},
        "meters": {"house.meter", "school.meter"},
        "prosumer-house": {"house"},
        "prosumer-school": {"school"},
    }
    configs = [path.name for path in (deployment.handout("prosumer-house") / "config").rglob("*.json")]
    assert configs == ["house.json"]
    assert not [path for path in deployment.server_dir.rglob("*") if "ca.key" in path.name]


def test_members_that_share_a_container_are_handed_out_together(tmp_path):
    scenario = str(write(tmp_path))
    packed = Placement(members_per_container=2)
    deployment = prepare_run(scenario, tmp_path / "run", None, None, "192.0.2.7", placement=packed)
    assert {*secrets_in(deployment.handout("prosumers-1"))} == {"house", "school"}
    configs = {path.name for path in (deployment.handout("prosumers-1") / "config").rglob("*.json")}
    assert configs == {"house.json", "school.json"}
    assert not deployment.handout("prosumer-house").exists()
    before = secrets_in(deployment.handout("prosumers-1"))
    Deployment(deployment.run).rotate(["school"])  # as whoever comes later does, from the files alone
    changed = secrets_in(deployment.handout("prosumers-1"))
    assert {account for account in before if before[account] != changed[account]} == {"school"}
    # A member that goes to a host of its own shares with nobody, and what was handed out before is gone.
    packed = Placement(members_per_container=2, elsewhere=["school"])
    deployment = prepare_run(scenario, tmp_path / "run", None, None, "192.0.2.7", placement=packed)
    assert {*secrets_in(deployment.handout("prosumers-1"))} == {"house"}
    deployment = prepare_run(scenario, tmp_path / "run", None, None, "192.0.2.7")
    assert not deployment.handout("prosumers-1").exists()
    assert {*secrets_in(deployment.handout("prosumer-house"))} == {"house"}


def test_fewer_than_one_member_a_container_is_refused(tmp_path):
    with pytest.raises(InputError, match="--members-per-container: found 0, expected at least 1"):
        peerwatt("prepare", write(tmp_path), "--run", tmp_path / "run", "--members-per-container", 0)


def test_the_dashboards_token_is_kept_and_the_owners_alone(tmp_path):
    token = prepared(tmp_path).dashboard_token
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    first = token.read_text()
    assert len(first.strip()) == 64
    assert prepared(tmp_path).dashboard_token.read_text() == first


def test_secrets_differ_and_only_the_owner_reads_them(tmp_path):
    deployment = prepared(tmp_path)
    secrets = secrets_in(deployment.operator_dir)
    assert len({*secrets.values()}) == len(secrets)
    for path in [
        *deployment.path.rglob("secrets/*"),
        *deployment.path.rglob("*key*"),
        deployment.server_accounts,
    ]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    text = deployment.server_accounts.read_text()
    assert not any(secret.strip() in text for secret in secrets.values())


def test_making_it_again_changes_nothing(tmp_path):
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}

    prepared(tmp_path)
    before = content()
    prepared(tmp_path)
    assert content() == before


def test_verifier_is_that_of_the_example_of_rfc_7677():
    """Its user proves with the stored key what RFC 7677 (section 3) prints, from the secret "pencil"."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==").decode("latin-1")
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    challenge = f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    said = f"n=user,r=rOprNGfwEbeRWgbNEkqO,{challenge},c=biws,r={nonce}".encode()
    made = verifier_of("pencil", salt)
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(bytes.fromhex(made.stored_key), said, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).hexdigest() == made.stored_key
    server_signature = hmac.digest(bytes.fromhex(made.server_key), said, "sha256")
    assert base64.b64encode(server_signature).decode() == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_rotation_changes_the_named_accounts_everywhere_and_no_other(tmp_path):
    deployment = prepared(tmp_path)
    before, verifiers = secrets_in(deployment.operator_dir), load_verifiers(deployment.server_accounts)
    done = peerwatt("secrets", "rotate", deployment.run.path, "school", "coordinator", "--json")
    assert done.exit_code == 0
    changed = {"coordinator", *(account for account in before if account.split(".")[0] == "school")}
    assert {*json.loads(done.stdout)["rotated"]} == changed
    after, known = secrets_in(deployment.operator_dir), load_verifiers(deployment.server_accounts)
    assert {account for account in before if before[account] != after[account]} == changed
    assert {account for account in before if verifiers[account] != known[account]} == changed
    for holder in ("coordinator", "meters", "prosumer-school"):
        for account, secret in secrets_in(deployment.handout(holder)).items():
            assert secret == after[account]
    for account, secret in after.items():
        assert verifier_of(secret.strip(), known[account].salt) == known[account]


def test_the_dashboards_token_is_rotated_by_its_name_and_with_all(tmp_path):
    deployment = prepared(tmp_path)
    before, token = secrets_in(deployment.operator_dir), deployment.dashboard_token.read_text()
    told = json.loads(peerwatt("secrets", "rotate", deployment.run.path, "house", "--json").stdout)
    assert not told["dashboard"]
    assert deployment.dashboard_token.read_text() == token
    between = secrets_in(deployment.operator_dir)
    assert between != before
    said = peerwatt("secrets", "rotate", deployment.run.path, "dashboard")
    assert f"peerwatt dashboard {deployment.run.path} --address" in said.stdout
    second = deployment.dashboard_token.read_text()
    assert second != token
    assert second.strip() not in said.output
    assert stat.S_IMODE(deployment.dashboard_token.stat().st_mode) == 0o600
    assert secrets_in(deployment.operator_dir) == between
    told = json.loads(peerwatt("secrets", "rotate", deployment.run.path, "--json").stdout)
    assert told["dashboard"]
    assert {*told["rotated"]} == {*between}
    assert deployment.dashboard_token.read_text() != second


def test_one_command_prints_the_dashboards_address_with_its_token(tmp_path):
    deployment = prepared(tmp_path, "[2001:db8::7]:8800")
    for _ in range(2):
        token = deployment.dashboard_token.read_text().strip()
        told = peerwatt("dashboard", deployment.run.path, "--address")
        assert told.stdout == f"http://[2001:db8::7]:8800/?token={token}\n"
        assert "not encrypted" in told.stderr
        deployment.rotate_dashboard_token()
    prepared(tmp_path, None)
    with pytest.raises(InputError, match="this deployment has no dashboard"):
        peerwatt("dashboard", deployment.run.path, "--address")
    (tmp_path / "local").mkdir()
    with pytest.raises(InputError, match="no deployment is here"):
        peerwatt("dashboard", tmp_path / "local", "--address")


def test_who_may_not_read_a_deployment_is_told_whose_it_is(tmp_path, monkeypatch):
    prepared(tmp_path)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above it may be closed too
    folder = Path("run") / "deployment"
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(12345)
    else:
        folder.chmod(0)
    try:
        for ask in (Deployment.dashboard_url, Deployment.outside):
            with pytest.raises(InputError, match=rf"^{folder}: cannot be read: it belongs to user {mine}, "):
                ask(Deployment(RunDirectory(Path("run"))))
    finally:
        if mine == 0:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_dashboard_with_a_token_file_does_not_print_the_token(tmp_path, monkeypatch):
    deployment = prepared(tmp_path)
    deployment.run.logs_dir.mkdir()
    token = deployment.dashboard_token.read_text().strip()

    async def served(dashboard, host, port, ready):
        ready(4711)

    monkeypatch.setattr("runtime.inspection.dashboard.serve", served)
    given = ("--host", "0.0.0.0", "--token-file", deployment.dashboard_token, "--outside", "192.0.2.7:8800")
    said = peerwatt("dashboard", deployment.run.path, *given).output
    assert "run: http://192.0.2.7:8800/ asks for the token in " in said
    assert "`peerwatt dashboard run --address` prints both" in said
    assert token not in said


def test_rotation_of_what_is_not_there_is_refused(tmp_path):
    deployment = prepared(tmp_path)
    with pytest.raises(InputError, match="no account 'nobody', expected one of coordinator"):
        peerwatt("secrets", "rotate", deployment.run.path, "nobody")
    (tmp_path / "local").mkdir()
    with pytest.raises(InputError, match="cannot read the accounts"):
        peerwatt("secrets", "rotate", tmp_path / "local")


def test_an_invitation_lets_a_member_in_and_nobody_else(tmp_path):
    deployment = prepared(tmp_path)
    file, other_host = tmp_path / "school.join.json", tmp_path / "elsewhere"
    made = peerwatt("invite", deployment.run.path, "school", "--address", "203.0.113.5", "--out", file)
    assert made.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert peerwatt("join", file, "--run", other_host, "--no-start").exit_code == 0
    connection = Connection.load(other_host / "connection.json")
    assert (connection.host, connection.port, connection.domain) == ("203.0.113.5", 5222, "peerwatt.internal")
    assert connection.ca_file.read_bytes() == (deployment.server_dir / "ca.pem").read_bytes()
    mine = secrets_in(other_host)
    assert "school" in mine
    assert attached_meter_account("school") in mine
    assert not [account for account in mine if not account.startswith("school")]
    assert mine.items() <= secrets_in(deployment.operator_dir).items()
    told = RunDirectory(other_host)
    assert told.member_config("school").read_bytes() == deployment.run.member_config("school").read_bytes()
    assert not told.member_config("house").exists()

    deployment.rotate(["school"])
    peerwatt("invite", deployment.run.path, "school", "--address", "203.0.113.5", "--out", file)
    peerwatt("join", file, "--run", other_host, "--no-start")
    assert connection.password_for("school") == deployment.outside().password_for("school")


def test_what_cannot_be_joined_is_named(tmp_path):
    deployment = prepared(tmp_path)
    with pytest.raises(InputError, match="no member 'barn', expected one of house, school"):
        peerwatt("invite", deployment.run.path, "barn", "--address", "h", "--out", tmp_path / "x")
    file = tmp_path / "x.json"
    file.write_text('{"format": "peerwatt-invitation/1", "secrets": {"a": "hidden"}}')
    with pytest.raises(InputError, match=rf"{file}: domain: Field required") as refused:
        peerwatt("join", file)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.test", "a.test", 5222),
        ("a.test:15222", "a.test", 15222),
        ("[::1]:5", "::1", 5),
        ("[::1]", "::1", 5222),
    ],
)
def test_addresses(text, host, port):
    assert Address.parse(text, "--address") == Address(host, port)


@pytest.mark.parametrize("text", ["", ":5222", "a:", "a:0", "a:65536", "a:b"])
def test_addresses_that_are_none(text):
    with pytest.raises(InputError, match="--address: found"):
        Address.parse(text, "--address")


def test_a_file_without_a_token_is_named_before_anything_is_served(tmp_path):
    run = prepared(tmp_path).run
    run.logs_dir.mkdir()
    (tmp_path / "empty").touch()
    for file in ("empty", "missing"):
        with pytest.raises(InputError, match=f"--token-file: .*{file}: "):
            peerwatt("dashboard", run.path, "--port", 0, "--token-file", tmp_path / file)
