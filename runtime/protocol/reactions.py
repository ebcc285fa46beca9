"""What stands between a machine and the messages that come: each once, and none that it cannot read."""

from __future__ import annotations

from collections import Counter

from runtime.errors import ProtocolError
from runtime.protocol.bodies import parse_body
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.exchange import Exchange
from runtime.protocol.machine import Effect, Machine

PROTESTS_PER_SENDER = 3
"""How many messages of one sender that are no market messages at all are answered; the rest are only logged,
so that two agents that do not understand each other fall silent."""

NEVER_ANSWERED = frozenset({Performative.REFUSE, Performative.NOT_UNDERSTOOD, Performative.FAILURE})


class Reactions:
    """What a machine does about what happens; the same while it runs and when its log is replayed.

    Attributes:
        machine: decides.
        exchange: which messages have been seen and answered.
        started: whether the machine has been told that it is connected for the first time.
        refused: whether the last message that was reacted to could not be taken.
    """

    def __init__(self, machine: Machine) -> None:
        """Stand before ``machine``, which was told nothing yet."""
        self.machine = machine
        self.exchange = Exchange()
        self.started = False
        self.refused = False
        self._protests: Counter[str] = Counter()

    def start(self) -> list[Effect]:
        """The agent is connected for the first time."""
        self.started = True
        return self.machine.start()

    def react(self, envelope: Envelope) -> list[Effect]:
        """A message came that was not seen before; what cannot be taken is answered with a reason."""
        self.refused = False
        try:
            body = parse_body(envelope.body)
        except ProtocolError as error:
            return self._complain(envelope, Performative.NOT_UNDERSTOOD, error)
        try:
            return self.machine.receive(envelope, body)
        except ProtocolError as error:
            return self._complain(envelope, Performative.REFUSE, error)

    def protest(self, sender: str, reason: str) -> list[Effect]:
        """Something came that is no message of the market."""
        self._protests[sender] += 1
        if self._protests[sender] > PROTESTS_PER_SENDER:
            return []
        return self.machine.protest(sender, reason)

    def _complain(self, about: Envelope, performative: Performative, error: ProtocolError) -> list[Effect]:
        self.refused = True
        if about.performative in NEVER_ANSWERED:
            return []
        return self.machine.complain(about, performative, str(error))
