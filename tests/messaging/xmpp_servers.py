"""The servers the transport is tested against, on the loopback interface: embedded and a real Prosody."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from ejabberd_servers import EjabberdProcesses

from runtime.messaging.connection import Connection
from runtime.messaging.secrets import ensure_secrets
from runtime.xmpp.authority import ensure_credentials

DOMAIN = "peerwatt.localhost"
ACCOUNTS = [f"member-{number:03d}" for number in range(100)] + ["coordinator", "meter", "inspector"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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


def lua_name(text):
    return "".join(sign if sign.isascii() and sign.isalnum() else f"%{ord(sign):02x}" for sign in text)


MODULES = Path(__file__).parents[2] / "runtime" / "xmpp" / "prosody" / "modules"


class ProsodyProcess:
    def __init__(self, directory: Path, accounts=ACCOUNTS, record: Path | None = None):
        """With ``record``, the module of deployments writes there what messages it carries."""
        self.directory = directory
        self.process = None
        if shutil.which("prosody") is None:
            raise AssertionError("the contract is tested against a real Prosody: apt-get install prosody")
        credentials = ensure_credentials(directory, DOMAIN)
        self.connection = Connection(
            domain=DOMAIN,
            host="127.0.0.1",
            port=free_port(),
            ca_file=credentials.ca_file,
            secrets_dir=directory / "secrets",
        )
        stored = directory / "data" / lua_name(DOMAIN) / "accounts"
        stored.mkdir(parents=True)
        for account, password in ensure_secrets(self.connection.secrets_dir, accounts).items():
            (stored / f"{lua_name(account)}.dat").write_text(f'return {{ ["password"] = "{password}" }};\n')
        modules = '"saslauth", "tls", "disco", "ping"'
        recording = ""
        if record is not None:
            modules += ', "offline", "peerwatt_audit"'
            recording = f'plugin_paths = {{ "{MODULES}" }}\npeerwatt_audit_file = "{record}"'
        (directory / "prosody.cfg.lua").write_text(f"""
run_as_root = true
daemonize = false
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
log = {{ warn = "{directory}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.connection.port} }}
c2s_direct_tls_ports = {{ }}
network_settings = {{ nagle = false }}
modules_enabled = {{ {modules} }}
modules_disabled = {{ "s2s", "s2s_auth_certs" }}
authentication = "internal_plain"
storage = "internal"
allow_registration = false
c2s_require_encryption = true
ssl = {{ key = "{credentials.key_file}"; certificate = "{credentials.certificate_file}" }}
{recording}
VirtualHost "{DOMAIN}"
""")

    def start(self):
        self.process = subprocess.Popen(
            ["prosody", "-F", "--config", self.directory / "prosody.cfg.lua"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.directory)},
        )
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.connection.port), 1).close()
            except OSError:
                assert self.process.poll() is None, f"prosody ended, see {self.directory}/prosody.log"
                assert time.monotonic() < deadline, "prosody does not listen after 15 s"
                time.sleep(0.05)
            else:
                return self.connection

    def kill(self):
        self.process.kill()
        self.process.wait(10)


SERVERS = {
    "embedded": EmbeddedProcess,
    "prosody": ProsodyProcess,
    "ejabberd": partial(EjabberdProcesses, domain=DOMAIN, accounts=ACCOUNTS),
    "two ejabberd nodes": partial(EjabberdProcesses, domain=DOMAIN, accounts=ACCOUNTS, nodes=2),
}
