"""The file of accounts on a server that somebody else runs: written, read, refused; and made on servers."""

from __future__ import annotations

import os
import stat
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runtime.errors import InputError
from runtime.messaging.connection import Connection
from runtime.rundir import meter_account
from runtime.scenario.resolve import resolve
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.ejabberd.node import installed_libraries
from runtime.xmpp.existing.accounts_file import ServerAccounts, write_accounts_file
from runtime.xmpp.existing.authorities import certificates_in, system_authorities
from runtime.xmpp.existing.joining import check_logins
from runtime.xmpp.existing.needed import known_accounts, needed_accounts
from runtime.xmpp.existing.registering import exported_users, prosody_script, write_registration
from runtime.xmpp.local import free_port
from tests.end_to_end.fleets import eventually
from tests.end_to_end.street import MEMBERS, write_street

DOMAIN = "lane.example"

GOOD = (
    'domain = "lane.example"\nauthority = "system"\n[passwords]\nhome = "secret-one"\n"home.meter" = "two"\n'
)


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "accounts.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_domain_in_any_script_is_one_and_what_is_none_is_not_written(tmp_path):
    write_accounts_file(tmp_path / "fit.toml", "Lane", "straße.example", "system", ["home"])
    assert ServerAccounts.load(tmp_path / "fit.toml").domain == "straße.example"
    with pytest.raises(InputError, match=r"--domain: found 'lane_1.example', expected a domain"):
        write_accounts_file(tmp_path / "unfit.toml", "Lane", "lane_1.example", "system", ["home"])
    assert not (tmp_path / "unfit.toml").exists()


def test_what_is_written_is_read_and_is_its_owners_alone(tmp_path):
    authority = ensure_credentials(tmp_path / 'with "quotes" and \\', DOMAIN).ca_file
    path = tmp_path / "accounts.toml"
    write_accounts_file(path, 'A "lane"\n[x]', DOMAIN, str(authority), ["home", "home.meter"])
    read = ServerAccounts.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (read.domain, list(read.passwords)) == (DOMAIN, ["home", "home.meter"])
    assert len({len(password) for password in read.passwords.values()} | {64}) == 1
    assert len(set(read.passwords.values())) == 2
    assert read.authority_pem(path).strip() == authority.read_text().strip()
    before = path.read_bytes()
    with pytest.raises(InputError, match="is there already"):
        write_accounts_file(path, "Lane", DOMAIN, "system", ["home"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (GOOD, 0o604, "mode 0604"),
        (GOOD, 0o620, "mode 0620"),
        (GOOD.replace("[passwords]", "[passwords"), 0o600, "expected TOML: .*line 3"),
        (GOOD.replace("domain", "realm"), 0o600, "domain: Field required"),
        (GOOD.replace("lane.example", "a lane"), 0o600, "domain: found 'a lane', expected a domain such as"),
        (GOOD.replace("lane.example", "me@lane.example"), 0o600, "domain: found 'me@lane.example'"),
        (GOOD.replace("lane.example", "lane..example"), 0o600, "domain: found 'lane..example'"),
        (GOOD.replace("[passwords]", "port = 5222\n[passwords]"), 0o600, "port: Extra inputs"),
        (GOOD.replace('"secret-one"', "7"), 0o600, "passwords.home: Input should be a valid string"),
        (
            GOOD.replace('"secret-one"', '" x"').replace('"two"', '""'),
            0o600,
            "around it: home, home.meter",
        ),
        (GOOD.replace("home =", '"ho me" ='), 0o600, "account 'ho me'"),
        ('domain = "x"\nauthority = "system"\n[passwords]\n', 0o600, "passwords: .*at least 1"),
    ],
)
def test_what_is_wrong_is_named_without_a_password(tmp_path, text, mode, said):
    with pytest.raises(InputError, match=said) as refused:
        ServerAccounts.load(written(tmp_path, text, mode))
    assert str(refused.value).startswith(str(tmp_path))
    assert "secret-one" not in str(refused.value)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot read the accounts"):
        ServerAccounts.load(tmp_path / "none.toml")


def test_its_description_tells_no_password(tmp_path):
    assert "secret-one" not in repr(ServerAccounts.load(written(tmp_path, GOOD)))


def test_the_accounts_a_run_needs_are_those_of_its_processes(tmp_path):
    resolved = resolve(str(write_street(tmp_path)))
    config = resolved.coordinator_config()
    needed = needed_accounts(config, resolved.meters_config())
    assert needed == ["coordinator", *MEMBERS, *map(meter_account, MEMBERS)]
    assert set(needed) < set(known_accounts(config))
    street = tmp_path / "street.toml"
    setpoint = 'setpoint = { target = "mqtt://h/t", max_charge_kw = 1, max_discharge_kw = 1 }'
    street.write_text(street.read_text().replace('name = "farm"', f'name = "farm"\n{setpoint}'))
    steered = resolve(str(street))
    assert needed_accounts(steered.coordinator_config(), steered.meters_config()) == [
        *needed,
        "farm.controller",
    ]


def test_only_certificates_are_taken_of_an_authoritys_file(tmp_path):
    pem = ensure_credentials(tmp_path, DOMAIN).ca_file.read_text()
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(f"# Autorité\n{pem}\nnothing\n{pem}", encoding="utf-8")
    assert certificates_in(mixed) == pem.strip() + "\n" + pem.strip() + "\n"
    with pytest.raises(InputError, match="found no certificate"):
        certificates_in(written(tmp_path, "nothing"))


def test_the_systems_authorities_are_a_file_or_a_folder(tmp_path, monkeypatch):
    pem = ensure_credentials(tmp_path, DOMAIN).ca_file.read_text().strip()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert system_authorities().strip() == pem
    folder = tmp_path / "certs"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    with pytest.raises(InputError, match="found no authorities of the system"):
        system_authorities()
    (folder / "0123abcd.0").symlink_to(tmp_path / "ca.pem")
    (folder / "4567abcd.0").symlink_to(tmp_path / "ca.pem")
    assert system_authorities().strip() == pem


def test_a_script_for_prosody_gives_each_account_its_password_over_a_pipe(tmp_path):
    accounts = ServerAccounts(
        domain=DOMAIN, authority="system", passwords={"home": "it's $HOME `x` \\n %s", "home.meter": "-n two"}
    )
    said = tmp_path / "said"
    seen = tmp_path / "prosodyctl"
    seen.write_text(f'#!/bin/sh\necho "$@" >> {said}\ncat >> {said}\n')
    seen.chmod(0o755)
    script = tmp_path / "register.sh"
    write_registration(script, accounts, "prosody")
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    subprocess.run(["sh", script], env={**os.environ, "PROSODYCTL": str(seen)}, check=True, timeout=20)
    assert said.read_text().splitlines() == [
        line
        for account, password in accounts.passwords.items()
        for line in (f"adduser {account}@{DOMAIN}", password, password)
    ]
    with pytest.raises(InputError, match="is there already"):
        write_registration(script, accounts, "prosody")
    assert prosody_script(accounts) == script.read_text()


def test_an_ejabberd_takes_the_accounts_and_lets_each_in(tmp_path):
    """A real one, with passwords stored as its own default is, and nothing of ours in it."""
    credentials = ensure_credentials(tmp_path, DOMAIN)
    passwords = {"home": '<it\'s> & "quoted"', "home.meter": "zwei-ä", "coordinator": "three"}
    accounts = ServerAccounts(domain=DOMAIN, authority="ca.pem", passwords=passwords)
    users = tmp_path / "users.xml"
    write_registration(users, accounts, "ejabberd")
    assert ElementTree.fromstring(exported_users(accounts)).tag == "{urn:xmpp:pie:0}server-data"
    whole = tmp_path / "whole.pem"
    whole.write_text(credentials.certificate_file.read_text() + credentials.key_file.read_text())
    port = free_port()
    (tmp_path / "ejabberd.yml").write_text(f"""
hosts: ["{DOMAIN}"]
auth_method: internal
auth_password_format: scram
certfiles: ["{whole}"]
listen: [{{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true}}]
modules: {{mod_offline: {{}}, mod_ping: {{}}}}
""")
    log = tmp_path / "erl.out"
    imported = f'io:format("imported ~p~n", [catch ejabberd_piefxis:import_file("{users}")])'
    with log.open("wb") as out:
        ejabberd = subprocess.Popen(
            [
                *("erl", "+K", "true", "-noinput", "-mnesia", "dir", f'"{tmp_path}/mnesia"'),
                *("-eval", f"{{ok, _}} = application:ensure_all_started(ejabberd), {imported}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={
                **os.environ,
                "HOME": str(tmp_path),
                "ERL_LIBS": str(installed_libraries()),
                "EJABBERD_CONFIG_PATH": str(tmp_path / "ejabberd.yml"),
                "EJABBERD_LOG_PATH": str(tmp_path / "ejabberd.log"),
            },
        )
    try:
        eventually(lambda: b"imported" in log.read_bytes(), "ejabberd has read the file")
        assert b"imported ok" in log.read_bytes()
        secrets_dir = tmp_path / "secrets"
        secrets_dir.mkdir()
        for account, password in passwords.items():
            (secrets_dir / account).write_text(password, encoding="utf-8")
        connection = Connection(
            domain=DOMAIN, host="127.0.0.1", port=port, ca_file=credentials.ca_file, secrets_dir=secrets_dir
        )
        assert check_logins(connection, list(passwords), takes_messages=True) == 0
        (secrets_dir / "home").write_text("another")
        with pytest.raises(InputError, match=r"refuses accounts .*: home$"):
            check_logins(connection, list(passwords), takes_messages=True)
    finally:
        ejabberd.kill()
        ejabberd.wait(20)


def test_toml_of_the_written_file_explains_itself(tmp_path):
    path = tmp_path / "accounts.toml"
    write_accounts_file(path, "Lane", DOMAIN, "system", ["home"])
    text = path.read_text()
    assert "keep it to yourself" in text
    assert set(tomllib.loads(text)) == {"domain", "authority", "passwords"}
