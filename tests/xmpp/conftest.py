"""The embedded server as its users run it: in a process of its own."""

import json
import subprocess
import sys

import pytest

from runtime.messaging.connection import Connection


class ServerProcess:
    """A server in ``directory``, with standard input held open by the test."""

    def __init__(self, directory, accounts=("a", "b", "c"), port=0, domain="peerwatt.localhost"):
        (directory / "accounts.json").write_text(json.dumps(accounts))
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "runtime.xmpp", "--dir", directory, "--domain", domain),
                *("--accounts", directory / "accounts.json", "--port", str(port)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.first_line = self.process.stdout.readline()
        self.connection = None
        if self.first_line:
            self.connection = Connection.load(directory / "connection.json")

    def end(self):
        self.process.kill()
        self.process.communicate(timeout=10)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    yield server.connection
    server.end()


@pytest.fixture
def start_server(tmp_path):
    started = []

    def start(**options):
        started.append(ServerProcess(tmp_path, **options))
        return started[-1]

    yield start
    for server in started:
        server.end()
