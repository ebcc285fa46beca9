"""The connection file and the passwords derived from the deployment's secret."""

import hashlib
import hmac
import json
import stat

import pytest

from runtime.errors import InputError
from runtime.messaging.connection import Connection


@pytest.fixture
def connection(tmp_path):
    (tmp_path / "secret").write_text("open sesame\n")
    return Connection(
        domain="peerwatt.localhost",
        host="127.0.0.1",
        port=5222,
        ca_file=tmp_path / "ca.pem",
        secret_file=tmp_path / "secret",
    )


def test_saved_for_the_owner_only_and_read_back(connection, tmp_path):
    path = tmp_path / "connection.json"
    connection.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Connection.load(path) == connection
    assert "sesame" not in path.read_text()


def test_password_is_the_hmac_of_the_bare_jid(connection):
    expected = hmac.new(b"open sesame", b"member-1@peerwatt.localhost", hashlib.sha256).hexdigest()
    assert connection.password_for("member-1") == expected
    assert connection.password_for("member-2") != expected
    assert connection.jid("member-1") == "member-1@peerwatt.localhost"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_missing_or_empty_secret_is_named(connection, content):
    if content is None:
        connection.secret_file.unlink()
    else:
        connection.secret_file.write_text(content)
    with pytest.raises(InputError, match=str(connection.secret_file)):
        connection.password_for("member-1")


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
    given = '{"domain": "a.test", "host": "h", "port": 5222, "ca_file": "ca.pem", "secret_file": "s"}'
    file.write_text(given)
    read = Connection.load(file)
    assert read.ca_file == tmp_path / "run" / "ca.pem"
    assert read.secret_file == tmp_path / "run" / "s"
