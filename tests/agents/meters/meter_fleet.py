"""A run with a real server and a prosumer that stands in for the fleet's, to try meter processes on."""

import asyncio
import json
import subprocess
import sys

from meter_setup import meter_config, reading_request, to_meter

from runtime.configuration import MetersConfig
from runtime.messaging.agent import ConnectedAgent
from runtime.messaging.connection import Connection
from runtime.operations_log import last_complaint
from runtime.protocol.bodies import (
    Acknowledged,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteringEnded,
    Reason,
    parse_body,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import RunDirectory, accounts_of

MEMBERS = ["school", "house"]


class Run:
    """A run directory and its embedded server."""

    def __init__(self, path):
        self.directory = RunDirectory(path)
        self.directory.server_dir.mkdir(parents=True)
        accounts = self.directory.server_dir / "accounts.json"
        accounts.write_text(json.dumps(accounts_of(MEMBERS)))
        house = meter_config(member="house", roles=["load"], pv=None)
        MetersConfig(meters=[meter_config(), house]).save(self.directory.meters_config)
        self._server = subprocess.Popen(
            [
                *(sys.executable, "-m", "runtime.xmpp", "--dir", self.directory.server_dir),
                *("--accounts", accounts),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "ready" in self._server.stdout.readline()
        self.connection = Connection.load(self.directory.server_dir / "connection.json")
        self.connection.save(self.directory.connection_json)

    @property
    def path(self):
        return self.directory.path

    def stop_server(self):
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()


class Process:
    """A process of ``python -m agents`` and the steps it prints."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agents", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def step(self, phase):
        while line := await asyncio.to_thread(self._process.stdout.readline):
            step = json.loads(line)
            if step["phase"] == phase:
                return step
        raise AssertionError(f"ended before {phase!r}: {self._process.stderr.read()}")

    def signal(self, number):
        self._process.send_signal(number)

    async def ended(self, within_s=10.0):
        """Exit code, and what it complained of last on standard error."""
        _, errors = await asyncio.to_thread(self._process.communicate, None, within_s)
        return self._process.returncode, last_complaint(errors)

    def clean_up(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()


class StandInProsumer(ConnectedAgent):
    """Takes a meter as the prosumer does, unless told otherwise, and asks for readings when told to."""

    def __init__(self, connection, member="school", attach_at=(0, 1), refuse=None, silent=()):
        super().__init__(connection, member)
        self.attach_at, self.refuse, self.silent = attach_at, refuse, silent
        self.received = []
        self._sent = 0
        self._news = asyncio.Event()

    def on_envelope(self, envelope):
        body = parse_body(envelope.body)
        self.received.append((envelope, body))
        self._news.set()
        if type(body) in self.silent:
            return
        match body:
            case MeterAttach() if self.refuse:
                self._reply(envelope, Performative.REFUSE, Reason(reason=self.refuse))
            case MeterAttach():
                session, slot = self.attach_at
                self._reply(envelope, Performative.AGREE, MeterAttached(session=session, slot=slot))
            case MeterDetach():
                self._reply(envelope, Performative.CONFIRM, Acknowledged())

    def _reply(self, to, performative, body):
        self._sent += 1
        self.transmit(
            Envelope(
                sender=self.bare_jid,
                recipient=to.sender,
                performative=performative,
                protocol=to.protocol,
                conversation=to.conversation,
                message_id=f"answer-{self._sent}",
                in_reply_to=to.message_id,
                body=body.to_json(),
            )
        )

    def bodies(self, kind):
        return [body for _, body in self.received if isinstance(body, kind)]

    async def ask(self, account, session, slot, roles, message_id):
        """Ask a meter; returns envelope and body of its answer."""
        request = reading_request(session, slot, roles)
        jid = self.connection.jid(account)
        before = len(self.received)
        self.transmit(to_meter(request, meter=jid, sender=self.bare_jid, message_id=message_id))
        async with asyncio.timeout(10):
            while True:
                for envelope, body in self.received[before:]:
                    if envelope.in_reply_to == message_id:
                        return envelope, body
                self._news.clear()
                await self._news.wait()

    def end_metering(self, account):
        jid = self.connection.jid(account)
        self.transmit(
            to_meter(
                MeteringEnded(),
                meter=jid,
                sender=self.bare_jid,
                message_id=f"end-{account}",
                performative=Performative.INFORM,
                expects_reply=False,
            )
        )
