"""A real Prosody on this machine with the deployment's own configuration and modules, for a prepared run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from runtime.deployment.deployment import Deployment
from runtime.messaging.connection import Connection

XMPP = Path(__file__).resolve().parents[2] / "runtime" / "xmpp" / "prosody"


class DeployedProsody:
    def __init__(self, deployment: Deployment) -> None:
        assert shutil.which("prosody"), (
            "the deployment is tested against a real Prosody: apt-get install prosody"
        )
        self.deployment = deployment
        self.connection: Connection = deployment.outside()
        self.data = deployment.path / "stored"
        self.data.mkdir(exist_ok=True)
        self.log = deployment.run.path / "prosody.log"
        self.audit = deployment.run.server_dir / "messages.jsonl"
        self.audit.parent.mkdir(exist_ok=True)

    def start(self) -> None:
        given = {
            "DOMAIN": self.connection.domain,
            "HANDOUT": str(self.deployment.server_dir),
            "DATA": str(self.data),
            "AUDIT": str(self.audit),
            "MODULES": str(XMPP / "modules"),
            "INTERFACE": "127.0.0.1",
            "XMPP_PORT": str(self.connection.port),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["prosody", "-F", "--config", XMPP / "prosody.cfg.lua"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **{f"PEERWATT_{name}": value for name, value in given.items()}},
            )
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection((self.connection.host, self.connection.port), 1).close()
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)

    def __enter__(self) -> DeployedProsody:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
