"""The accounts of our Prosody: a changed secret counts at the next login, whatever was read before."""

from __future__ import annotations

import time

import pytest
from xmpp_servers import ProsodyProcess

from runtime.deployment.verifiers import write_verifiers
from runtime.errors import InputError
from runtime.messaging.secrets import write_secret
from runtime.xmpp.existing.joining import check_logins

SETTLED_S = 3.2
"""Longer than the grain of a file's times that the module reckons with."""


def test_a_secret_counts_as_soon_as_it_is_written(tmp_path):
    server = ProsodyProcess(tmp_path, accounts=["coordinator", "home"])
    connection = server.start()
    accounts = tmp_path / "prosody" / "handed" / "accounts.json"
    try:
        for pause_s, secret in ((SETTLED_S, "one"), (SETTLED_S, "two"), (0.0, "three")):
            check_logins(connection, ["coordinator", "home"], takes_messages=False)
            time.sleep(pause_s)
            check_logins(connection, ["coordinator", "home"], takes_messages=False)
            old = connection.password_for("home")
            write_verifiers(accounts, {"coordinator": connection.password_for("coordinator"), "home": secret})
            with pytest.raises(InputError, match=r"refuses accounts .*: home$"):
                check_logins(connection, ["coordinator", "home"], takes_messages=False)
            write_secret(connection.secrets_dir, "home", secret)
            check_logins(connection, ["coordinator", "home"], takes_messages=False)
            assert old != secret
        accounts.write_text(accounts.read_text()[:40])
        check_logins(connection, ["coordinator", "home"], takes_messages=False)
        time.sleep(SETTLED_S)
        accounts.unlink()
        check_logins(connection, ["coordinator", "home"], takes_messages=False)
        write_verifiers(accounts, {"coordinator": connection.password_for("coordinator")})
        with pytest.raises(InputError, match=r"refuses accounts .*: home$"):
            check_logins(connection, ["coordinator", "home"], takes_messages=False)
    finally:
        server.kill()
