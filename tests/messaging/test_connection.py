"""The connection file and the passwords of accounts, each in a file of its own."""

import json
import stat

import pytest

from runtime.errors import InputError
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import ensure_secrets, write_secret


@pytest.fixture
def connection(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "member-1").write_text("open sesame\n")
    return Connection(
        domain="peerwatt.localhost",
        host="127.0.0.1",
        port=5222,
        ca_file=tmp_path / "ca.pem",
        secrets_dir=tmp_path / "secrets",
    )


def test_saved_for_the_owner_only_and_read_back(connection, tmp_path):
    path = tmp_path / "connection.json"
    connection.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Connection.load(path) == connection
    assert "sesame" not in path.read_text()


def test_password_is_what_the_accounts_file_says_now(connection):
    assert connection.password_for("member-1") == "open sesame"
    write_secret(connection.secrets_dir, "member-1", "open barley")
    assert connection.password_for("member-1") == "open barley"
    assert connection.jid("member-1") == "member-1@peerwatt.localhost"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\n"])
def test_a_missing_or_unusable_secret_is_named(connection, content):
    file = connection.secrets_dir / "member-1"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match=str(file)):
        connection.password_for("member-1")


def test_the_secret_of_one_account_does_not_serve_another(connection):
    with pytest.raises(InputError, match="account 'member-2'"):
        connection.password_for("member-2")


def test_missing_secrets_are_made_at_random_and_the_others_kept(connection):
    made = ensure_secrets(connection.secrets_dir, ["member-1", "member-2", "member-3"])
    assert made["member-1"] == "open sesame"
    assert len({*made.values()}) == 3
    assert len(bytes.fromhex(made["member-2"])) == 32
    assert ensure_secrets(connection.secrets_dir, made) == made
    assert stat.S_IMODE(connection.secrets_dir.stat().st_mode) == 0o700
    for account in ("member-2", "member-3"):
        assert stat.S_IMODE((connection.secrets_dir / account).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"port": 0}, "port"),
        ({"port": None}, "port"),
        ({"colour": "red"}, "colour"),
        ({"domain": ""}, "domain"),
    ],
)
def test_a_wrong_field_is_named_with_the_file(connection, tmp_path, change, named):
    path = tmp_path / "connection.json"
    path.write_text(json.dumps({**connection.model_dump(mode="json"), **change}))
    with pytest.raises(InputError, match=rf"{path}: {named}"):
        Connection.load(path)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_file_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "connection.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=str(path)):
        Connection.load(path)


def test_relative_paths_start_from_the_connection_files_folder(tmp_path):
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "connection.json"
    given = '{"domain": "a.test", "host": "h", "port": 5222, "ca_file": "ca.pem", "secrets_dir": "s"}'
    file.write_text(given)
    read = Connection.load(file)
    assert read.ca_file == tmp_path / "run" / "ca.pem"
    assert read.secrets_dir == tmp_path / "run" / "s"
