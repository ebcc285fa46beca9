"""How an agent that crashed comes back: its machine is fed what its log holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtime.messagelog.record import LogRecord, RecordKind, instant
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope
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
    Withdraw,
)

if TYPE_CHECKING:
    from runtime.messaging.host import MachineAgent

UNSURE_S = 1.0
"""Messages logged so shortly before a crash may not have left the process any more."""


class Replay:
    """Brings an agent back to where its log ends, without sending anything twice as new."""

    def __init__(self, agent: MachineAgent) -> None:
        """Bring back ``agent``."""
        self._agent = agent
        self._unsent: dict[str, Send] = {}
        self._timers: dict[str, Effect] = {}
        self._jobs: dict[str, Compute] = {}
        self._last: list[Effect] = []
        self._unanswerable: list[tuple[datetime, Envelope]] = []

    def run(self, log: MessageLog) -> None:
        """Feed the machine what the log holds."""
        crashed_at = None
        for record in log.records():
            crashed_at = instant(record.at)
            self._note(self._replayed(record))
        if crashed_at is not None:
            since = crashed_at - timedelta(seconds=UNSURE_S)
            self._unanswerable = [(at, envelope) for at, envelope in self._unanswerable if at >= since]

    def unsure(self) -> list[Envelope]:
        """Messages nobody answers that may not have been sent though they are in the log."""
        envelopes = [envelope for _, envelope in self._unanswerable]
        self._unanswerable = []
        return envelopes

    def left_over(self) -> list[Effect]:
        """What the agent had not got round to: sends, timers and computations."""
        effects: list[Effect] = [*self._unsent.values(), *self._timers.values(), *self._jobs.values()]
        effects += self._last
        self._unsent, self._timers, self._jobs, self._last = {}, {}, {}, []
        return effects

    def _replayed(self, record: LogRecord) -> list[Effect]:
        agent = self._agent
        envelope = record.envelope
        if envelope is not None and record.kind is RecordKind.OUT:
            if self._unsent.pop(envelope.message_id, None) is not None:
                agent._exchange.sent(envelope, 0.0)
                if not envelope.expects_reply:
                    self._unanswerable.append((instant(record.at), envelope))
            return []
        if envelope is not None:
            verdict, _ = agent._exchange.received(envelope)
            return agent._react(envelope) if verdict is Verdict.NEW else []
        data = record.data or {}
        match record.name:
            case "started":
                agent._started = True
                return agent._machine.start()
            case "timer":
                self._timers.pop(data["name"], None)
                return agent._machine.timer(data["name"])
            case "computed":
                return agent._machine.computed(data["name"], self._jobs.pop(data["name"]).work())
            case "malformed":
                return agent._protest(data["sender"], data["reason"])
        return []

    def _note(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(envelope, _):
                    self._unsent[envelope.message_id] = effect
                case StartTimer(name, _) | AwaitSlotEnd(name, _, _, _):
                    self._timers[name] = effect
                case StopTimer(name):
                    self._timers.pop(name, None)
                case Compute(name, _, _):
                    self._jobs[name] = effect
                case Withdraw(message_id):
                    self._agent._exchange.withdraw(message_id)
                case Save(path, record):
                    record.save(path)
                case Finish() | Fail():
                    self._last.append(effect)
                case Progress():
                    pass
