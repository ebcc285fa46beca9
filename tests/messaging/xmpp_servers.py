"""The servers the transport is tested against, on the loopback interface: embedded and a real Prosody."""

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from ejabberd_servers import EjabberdProcesses

from runtime.fleet.servers import ProsodyChild
from runtime.messagelog.server_record import RECORD_FILE
from runtime.messaging.connection import Connection
from runtime.xmpp.local import DOMAIN

ACCOUNTS = [f"member-{number:03d}" for number in range(100)] + ["coordinator", "meter", "inspector"]


class EmbeddedProcess:
    def __init__(self, directory: Path):
        self.directory = directory
        self.port = 0
        self.process = None
        (directory / "accounts.json").write_text(json.dumps(ACCOUNTS))

    def start(self):
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "runtime.xmpp", "--dir", self.directory, "--domain", DOMAIN),
                *("--accounts", self.directory / "accounts.json", "--port", str(self.port)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = json.loads(self.process.stdout.readline())["ready"]["port"]
        return Connection.load(self.directory / "connection.json")

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


class ProsodyProcess:
    """A real Prosody as `peerwatt run --xmpp prosody` starts it."""

    def __init__(self, directory: Path, accounts=ACCOUNTS, record: Path | None = None):
        """With ``record``, a file in ``directory``, it writes there what messages it carries."""
        assert shutil.which("prosody"), (
            "the contract is tested against a real Prosody: apt-get install prosody"
        )
        self.directory = directory
        if record is not None:
            assert record == directory / RECORD_FILE
            record.touch()
        (directory / "accounts.json").write_text(json.dumps(accounts))
        self.child = ProsodyChild(directory, directory / "accounts.json", directory / "prosody.stderr")

    def start(self):
        self.child.start()
        self.child.await_ready()
        return Connection.load(self.directory / "connection.json")

    def kill(self):
        if self.child.pid is not None:
            self.child.kill()
            assert self.child.wait(10)
            self.child.terminate()


SERVERS = {
    "embedded": EmbeddedProcess,
    "prosody": ProsodyProcess,
    "ejabberd": partial(EjabberdProcesses, domain=DOMAIN, accounts=ACCOUNTS),
    "two ejabberd nodes": partial(EjabberdProcesses, domain=DOMAIN, accounts=ACCOUNTS, nodes=2),
}
