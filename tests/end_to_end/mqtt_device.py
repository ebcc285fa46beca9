"""A broker, and a device that counts energy and publishes its register, whatever becomes of the broker."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
TOPIC = "village/school/energy"


class Broker:
    """Debian's mosquitto on a port of its own."""

    def __init__(self, folder: Path) -> None:
        assert MOSQUITTO, "the tests need Debian's mosquitto: make packages"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [MOSQUITTO, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            assert time.monotonic() < deadline_s, "the broker does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


class Device:
    """Publishes a register that rises steadily, several times a slot."""

    def __init__(self, port: int, kwh_per_s: float, every_s: float) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(0.1, 0.3)
        self._client.connect_async("127.0.0.1", port)
        self._kwh_per_s = kwh_per_s
        self._every_s = every_s
        self._began_s = time.monotonic()
        self._over = threading.Event()
        self._publishing = threading.Thread(target=self._publish, daemon=True)

    def register_kwh(self) -> float:
        """The register's state, in whole watt-hours."""
        return round(1000.0 + self._kwh_per_s * (time.monotonic() - self._began_s), 3)

    def __enter__(self) -> Device:
        self._client.loop_start()
        self._publishing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._publishing.join(5)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self) -> None:
        while not self._over.wait(self._every_s):
            if self._client.is_connected():
                self._client.publish(TOPIC, f'{{"total": {self.register_kwh():.3f}}}', qos=0)
