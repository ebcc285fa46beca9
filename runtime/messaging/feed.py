"""A machine fed with its own log: fed the same events, it asks for the same effects."""

from __future__ import annotations

from runtime.messagelog.record import LogRecord, RecordKind
from runtime.protocol.exchange import Verdict
from runtime.protocol.machine import (
    AwaitSlotEnd,
    Compute,
    Effect,
    Fail,
    Finish,
    Progress,
    Save,
    Send,
    StartTimer,
    StopTimer,
    Tidy,
    Withdraw,
)
from runtime.protocol.reactions import Reactions

STARTED, TIMER, COMPUTED, MALFORMED = "started", "timer", "computed", "malformed"
"""Names of the events that a machine is told of beside messages."""


class LogFeed:
    """Feeds a machine the records of its log, and keeps what it asked for and the log does not show done.

    Attributes:
        unsent: messages it wanted to send, by id.
        timers: those it started that have not run out, by name.
        jobs: computations it began that are not done, by name.
        ended: its ``Finish`` or ``Fail``.
        saved: what it wanted saved, in order.
        verdict: on the last message that came in.
    """

    def __init__(self, reactions: Reactions) -> None:
        """Feed the machine behind ``reactions``."""
        self.reactions = reactions
        self.unsent: dict[str, Send] = {}
        self.timers: dict[str, StartTimer | AwaitSlotEnd] = {}
        self.jobs: dict[str, Compute] = {}
        self.ended: list[Effect] = []
        self.saved: list[Save] = []
        self.verdict = Verdict.NEW

    def feed(self, record: LogRecord) -> None:
        """Feed the next record.

        Raises:
            KeyError: a computation is done that was not begun.
        """
        self._note(self._effects_of(record))

    def _effects_of(self, record: LogRecord) -> list[Effect]:
        reactions, envelope = self.reactions, record.envelope
        if envelope is not None and record.kind is RecordKind.OUT:
            if self.unsent.pop(envelope.message_id, None) is not None:
                reactions.exchange.sent(envelope, 0.0)
            return []
        if envelope is not None:
            self.verdict, _ = reactions.exchange.received(envelope)
            return reactions.react(envelope) if self.verdict is Verdict.NEW else []
        data = record.data or {}
        match record.name:
            case "started":
                return reactions.start()
            case "timer":
                self.timers.pop(data["name"], None)
                return reactions.machine.timer(data["name"])
            case "computed":
                job = self.jobs.pop(data["name"])
                result = job.kept.read(data["result"]) if job.kept and "result" in data else job.work()
                return reactions.machine.computed(data["name"], result)
            case "malformed":
                return reactions.protest(data["sender"], data["reason"])
        return []

    def _note(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(envelope, _):
                    self.unsent[envelope.message_id] = effect
                case StartTimer(name, _) | AwaitSlotEnd(name, _, _, _):
                    self.timers[name] = effect
                case StopTimer(name):
                    self.timers.pop(name, None)
                case Compute(name, _, _):
                    self.jobs[name] = effect
                case Withdraw(message_id):
                    self.reactions.exchange.withdraw(message_id)
                case Save():
                    self.saved.append(effect)
                case Finish() | Fail():
                    self.ended.append(effect)
                case Progress() | Tidy():
                    pass
