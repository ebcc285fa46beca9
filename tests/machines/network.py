"""Machines of a whole community on a network in memory: no XMPP, no clock, any order, loss and repetition."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import ProtocolError
from runtime.protocol.bodies import parse_body
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.exchange import Exchange, Verdict
from runtime.protocol.machine import (
    AwaitSlotEnd,
    Compute,
    Effect,
    Fail,
    Finish,
    Machine,
    Save,
    Send,
    StartTimer,
    StopTimer,
    Withdraw,
)
from runtime.records import Record


@dataclass
class Node:
    machine: Machine
    exchange: Exchange = field(default_factory=Exchange)
    timers: dict[str, float] = field(default_factory=dict)
    finished: bool = False
    failed: str | None = None
    away: bool = False


@dataclass
class Network:
    """Delivers messages one at a time; ``rng`` picks which, and which are lost or doubled."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    loss: float = 0.0
    doubling: float = 0.0
    nodes: dict[str, Node] = field(default_factory=dict)
    in_flight: list[Envelope] = field(default_factory=list)
    saved: dict[Path, Record] = field(default_factory=dict)
    sent: list[Envelope] = field(default_factory=list)
    now_s: float = 0.0

    def add(self, machine: Machine) -> Node:
        node = self.nodes[machine.jid] = Node(machine)
        return node

    @property
    def waited_for(self) -> list[Node]:
        """All but meters, which a lost farewell may leave waiting."""
        return [node for jid, node in self.nodes.items() if ".meter" not in jid]

    def run(self, max_steps: int = 200_000) -> None:
        for node in self.nodes.values():
            if not node.away:
                self._perform(node, node.machine.start())
        for _ in range(max_steps):
            if all(node.finished or node.failed or node.away for node in self.waited_for):
                return
            if self.in_flight:
                self._deliver(self.in_flight.pop(self.rng.randrange(len(self.in_flight))))
            else:
                self._let_time_pass()
        raise AssertionError("the community did not come to an end")

    def _let_time_pass(self) -> None:
        """To the next timer or repetition, whichever is first."""
        due = [(at, node, name) for node in self.nodes.values() for name, at in node.timers.items()]
        self.now_s += 5.0
        for node in self.nodes.values():
            if not node.finished and not node.away:
                for envelope in node.exchange.due(self.now_s):
                    self._post(envelope)
        for at, node, name in sorted(due, key=lambda entry: entry[0]):
            if at <= self.now_s and name in node.timers:
                del node.timers[name]
                self._perform(node, self._timer(node, name))

    def _timer(self, node: Node, name: str) -> list[Effect]:
        return node.machine.timer(name)

    def _computed(self, node: Node, name: str, result: Any) -> list[Effect]:
        return node.machine.computed(name, result)

    def _post(self, envelope: Envelope) -> None:
        if self.rng.random() < self.loss:
            return
        self.in_flight.append(envelope)
        if self.rng.random() < self.doubling:
            self.in_flight.append(envelope)

    def _deliver(self, envelope: Envelope) -> None:
        node = self.nodes.get(envelope.recipient)
        if node is None or node.finished or node.away:
            return
        verdict, cached = node.exchange.received(envelope)
        if verdict is not Verdict.NEW:
            if cached is None and verdict is Verdict.DUPLICATE and envelope.expects_reply:
                cached = self._said_before(envelope)
            if cached is not None and (
                not cached.expects_reply or node.exchange.awaits_reply(cached.message_id)
            ):
                self._post(cached)
            return
        try:
            effects = node.machine.receive(envelope, parse_body(envelope.body))
        except ProtocolError as error:
            effects = node.machine.complain(envelope, Performative.REFUSE, str(error))
        self._perform(node, effects)

    def _said_before(self, asked: Envelope) -> Envelope | None:
        """The reply to a message that comes again, as an agent finds it in its log."""
        ends = asked.recipient, asked.sender, asked.message_id
        replies = (each for each in self.sent if (each.sender, each.recipient, each.in_reply_to) == ends)
        return next(replies, None)

    def _perform(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(envelope, _):
                    node.exchange.sent(envelope, self.now_s)
                    self.sent.append(envelope)
                    self._post(envelope)
                case Withdraw(message_id):
                    node.exchange.withdraw(message_id)
                case StartTimer(name, seconds):
                    node.timers[name] = self.now_s + seconds
                case AwaitSlotEnd(name, _, _, _):
                    node.timers[name] = self.now_s
                case StopTimer(name):
                    node.timers.pop(name, None)
                case Compute(name, work, _):
                    self._perform(node, self._computed(node, name, work()))
                case Save(path, _):
                    self.saved[path] = effect.whole()
                case Finish():
                    node.finished = True
                    node.timers.clear()
                case Fail(reason):
                    node.failed = reason
