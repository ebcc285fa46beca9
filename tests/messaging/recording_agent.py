"""An agent that keeps what reaches it."""

import asyncio
import contextlib
import itertools

from runtime.messaging.agent import ConnectedAgent
from runtime.protocol.envelope import Envelope, Performative

_numbers = itertools.count()


class RecordingAgent(ConnectedAgent):
    def __init__(self, connection, local_part):
        super().__init__(connection, local_part)
        self.envelopes = []
        self.malformed = []
        self.connects = 0
        self.disconnects = 0
        self.changed = asyncio.Event()

    def on_envelope(self, envelope):
        self.envelopes.append(envelope)
        self.changed.set()

    def on_malformed(self, sender, reason):
        self.malformed.append((sender, reason))
        self.changed.set()

    def on_connected(self):
        self.connects += 1
        self.changed.set()

    def on_disconnected(self):
        self.disconnects += 1
        self.changed.set()

    async def until(self, condition, timeout_s=40.0):
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def inform(sender, recipient, **changes):
    fields = {
        "sender": sender,
        "recipient": recipient,
        "performative": Performative.INFORM,
        "protocol": "market",
        "conversation": "session-1",
        "message_id": f"m{next(_numbers)}",
        "body": '{"net_kwh": [0.25, -1.5]}',
    }
    return Envelope(**{**fields, **changes})


async def say_until_heard(speaker, listener, envelope, timeout_s=40.0):
    """Repeat a message until it arrives, as agents do: nodes of a cluster learn a little later who moved."""
    async with asyncio.timeout(timeout_s):
        while envelope not in listener.envelopes:
            speaker.transmit(envelope)
            listener.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listener.changed.wait(), 0.5)
