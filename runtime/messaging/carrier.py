"""Carries out a machine's decisions, whatever library connects it: logs, sends, repeats, times, computes.

Every message and event is in the agent's log before the machine is told of it; every message sent is there
before it leaves. An agent that crashed is rebuilt by replaying that log: the machine is fed the same events,
what it had sent is recognised by its id, and only what is missing is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

from runtime import operations_log
from runtime.clock import Clock
from runtime.errors import FleetError, LogError, ProtocolError
from runtime.messagelog.record import EVENT_LEFT, NOTE_DUPLICATE, NOTE_RESENT
from runtime.messagelog.writer import MessageLog
from runtime.messaging.asked_again import AskedAgain
from runtime.messaging.feed import COMPUTED, MALFORMED, STARTED, TIMER
from runtime.messaging.inspected import Inspected
from runtime.messaging.memory import give_back_soon
from runtime.messaging.replay import Replay
from runtime.protocol.envelope import Envelope
from runtime.protocol.exchange import Verdict
from runtime.protocol.floods import FLOODED, Floods
from runtime.protocol.inspection import RECONNECTED
from runtime.protocol.machine import (
    AwaitSlotEnd,
    Compute,
    Effect,
    Fail,
    Finish,
    Machine,
    Progress,
    Save,
    Send,
    StartTimer,
    StopTimer,
    Tidy,
    Withdraw,
)
from runtime.protocol.reactions import NEVER_ANSWERED, Reactions

CLOCK_CHECK_S = 30.0
"""So long the end of a slot is waited for before the clock is asked again."""

CLOCK_GRAIN_S = 0.001
"""A slot with no more than this to go has passed: timers and clocks differ by their last digits."""

RESEND_CHECK_S = 0.5
"""How often overdue replies are looked for."""


class MachineCarrier:
    """One agent without its connection: a log and a machine.

    A subclass has a connection (``connected``, ``transmit``). It calls ``begin`` once before the first login,
    ``on_connected`` after each login, ``on_envelope`` and ``on_malformed`` with what comes, ``leave_off`` and
    ``let_go`` before and after logging out.

    Attributes:
        finished: resolves when the machine has finished, or with the error that ended it.
    """

    def carry(
        self,
        machine: Machine,
        log: MessageLog,
        clock: Clock,
        tell: Callable[[str, dict[str, Any]], None],
        *,
        replay: bool = True,
        planning: ThreadPoolExecutor | None = None,
    ) -> None:
        """Take up a machine, replaying what its log holds of an earlier life; the event loop runs.

        Args:
            machine: what decides.
            log: its message log, open.
            clock: the community's clock.
            tell: called with phase and detail of the machine's progress.
            replay: whether it goes on with the life in the log; if not, its messages need ids of their own.
            planning: thread of the process for what takes long; a thread of the agent's own if None.
        """
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._machine = machine
        self._log = log
        self._clock = clock
        self._tell = tell
        self._reactions = Reactions(machine)
        self._exchange = self._reactions.exchange
        self._floods = Floods()
        self._asked_again = AskedAgain(self._exchange, log.path)
        self._own_planning = planning_thread() if planning is None else None
        self._executor = planning or self._own_planning
        self._jobs: set[asyncio.Future[tuple[Any, float]]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._computing: list[str] = []
        self._resending: asyncio.Task[None] | None = None
        self._inspected = Inspected(machine, log, self._exchange, lambda: [*self._computing])
        self._logged_in_before = False
        self._leaving_since = ""
        self._replay = Replay(self._reactions)
        if replay:
            self._replay.run(log)

    if TYPE_CHECKING:  # what the connection brings
        local_part: str
        last_ending: str

        @property
        def connected(self) -> bool:
            """Whether messages can be sent just now."""

        def transmit(self, envelope: Envelope) -> bool:
            """Send a message if connected; False if not."""

    # -- connection ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin looking for overdue replies."""
        self._resending = asyncio.create_task(self._resend_overdue())

    def on_connected(self) -> None:
        """Start the machine, or take up where the log ended; repeat what was not answered."""
        self._guarded(self._take_up)

    def _take_up(self) -> None:
        if self._logged_in_before:
            self._inspected.reconnects += 1
            self._log.append_event(RECONNECTED, {"after": self.last_ending})
            operations_log.say("reconnected", self.local_part, after=self.last_ending)
        self._logged_in_before = True
        for envelope in [*self._replay.unsure(), *self._exchange.unanswered(self._now_s())]:
            self._repeat(envelope)
        if not self._reactions.started:
            self._log.append_event(STARTED, {})
            self._perform(self._reactions.start())
        self._perform(self._replay.left_over())

    def leave_off(self) -> None:
        """No more timers and repetitions."""
        if not self._leaving_since:
            self._leaving_since = self._log.now()
        for timer in self._timers.values():
            timer.cancel()
        if self._resending is not None:
            self._resending.cancel()

    def let_go(self) -> None:
        """No more computations, and the log is closed."""
        for job in list(self._jobs):
            job.cancel()
        if self._own_planning is not None:
            self._own_planning.shutdown(wait=False, cancel_futures=True)
        self._log_leaving()
        self._log.close()

    def _log_leaving(self) -> None:
        """Write since when nothing is heard for sure: what comes later is lost, and nobody's fault."""
        failed = self.finished.done() and self.finished.exception() is not None
        if failed or self._log.closed or not self._leaving_since:
            return
        try:
            for flood in self._floods.rest(self._now_s()):
                self._log.append_event(FLOODED, flood)
            left = {"since": self._leaving_since, "finished": self.finished.done()}
            self._log.append_event(EVENT_LEFT, left)
        except LogError as error:  # a full disk: all that counts is there, and the agent goes anyway
            operations_log.say("leaving-not-logged", self.local_part, level=logging.ERROR, reason=str(error))

    # -- what happens ----------------------------------------------------------------------------------

    def on_envelope(self, envelope: Envelope) -> None:
        """Take a message: judge, log, act."""
        self._guarded(self._receive, envelope)

    def _receive(self, envelope: Envelope) -> None:
        if envelope.sender == self._inspected.inspector:
            self._answer_inspector(envelope)
            return
        sender, awaited = envelope.sender, self._exchange.is_awaited(envelope)
        if not awaited and self._floods.exceeds(sender, self._now_s()):
            self._count_flood(sender, len(envelope.body))
            return
        verdict, cached = self._exchange.received(envelope)
        if verdict is Verdict.NEW:
            self._log.append_in(envelope)
            self._perform(self._reactions.react(envelope))
            if self._reactions.refused or (not awaited and envelope.performative in NEVER_ANSWERED):
                self._floods.note_no_effect(sender, self._now_s())
            return
        self._floods.note_no_effect(sender, self._now_s())
        self._log.append_in(envelope, NOTE_DUPLICATE if verdict is Verdict.DUPLICATE else "unasked reply")
        if verdict is Verdict.DUPLICATE:
            reply = self._asked_again.reply_to(envelope, cached, self._now_s())
            if reply is not None:
                self._repeat(reply)

    def _answer_inspector(self, envelope: Envelope) -> None:
        answer = self._inspected.answer(envelope)
        if answer is not None:
            try:
                self.transmit(answer)
            except ProtocolError as error:  # too long for a stanza, in the largest communities
                operations_log.say("status-failed", self.local_part, level=logging.ERROR, reason=str(error))

    def on_malformed(self, sender: str, reason: str) -> None:
        """Log what is no market message, and tell its sender."""
        self._guarded(self._malformed, sender, reason)

    def _malformed(self, sender: str, reason: str) -> None:
        if sender == self._inspected.inspector:
            self._inspected.malformed(reason)
            return
        if self._floods.exceeds(sender, self._now_s()):
            self._count_flood(sender, 0)
            return
        self._floods.note_no_effect(sender, self._now_s())
        self._log.append_event(MALFORMED, {"sender": sender, "reason": reason})
        self._perform(self._reactions.protest(sender, reason))

    def _count_flood(self, sender: str, body_bytes: int) -> None:
        if self._floods.count(sender, body_bytes):
            operations_log.say(FLOODED, self.local_part, level=logging.WARNING, by=sender)

    def _tell_floods(self) -> None:
        for flood in self._floods.due(self._now_s()):
            self._log.append_event(FLOODED, flood)

    def _timer_ran_out(self, name: str) -> None:
        self._timers.pop(name, None)
        self._log.append_event(TIMER, {"name": name})
        self._perform(self._machine.timer(name))

    def _job_done(self, work: Compute, job: asyncio.Future[tuple[Any, float]]) -> None:
        self._jobs.discard(job)
        self._computing.remove(work.name)
        if not job.cancelled():
            self._work_done(work, *job.result())

    def _work_done(self, work: Compute, result: object, seconds: float) -> None:
        kept = {} if work.kept is None else {"result": work.kept.written(result)}
        self._log.append_event(COMPUTED, {"name": work.name, "seconds": round(seconds, 6), **kept})
        self._perform(self._machine.computed(work.name, result))

    # -- what is done ----------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        to_send: list[Envelope] = []
        reply_by: dict[float, str] = {}  # by time for the answer: what is asked at once is due at once
        for effect in effects:
            if isinstance(effect, Send):
                to_send.append(self._dated(effect, reply_by))
            else:
                self._send(to_send)
                to_send = []
                self._carry_out(effect)
        self._send(to_send)

    @staticmethod
    def _dated(message: Send, reply_by: dict[float, str]) -> Envelope:
        seconds = message.reply_within_s
        if seconds is None:
            return message.envelope
        if seconds not in reply_by:
            due = datetime.now(UTC) + timedelta(seconds=seconds)
            reply_by[seconds] = due.isoformat(timespec="milliseconds")
        return replace(message.envelope, reply_by=reply_by[seconds])

    def _send(self, envelopes: list[Envelope]) -> None:
        """Log messages, all at once, then send them."""
        if not envelopes:
            return
        self._log.append_sent(envelopes)
        now_s = self._now_s()
        for envelope in envelopes:
            self._exchange.sent(envelope, now_s)
            self.transmit(envelope)
            if envelope.performative in NEVER_ANSWERED:
                operations_log.say(
                    "refusal",
                    self.local_part,
                    level=logging.WARNING,
                    to=envelope.recipient,
                    performative=str(envelope.performative),
                    of=envelope.in_reply_to,
                )

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Withdraw(message_id):
                self._exchange.withdraw(message_id)
            case StartTimer(name, seconds):
                self._start_timer(name, seconds)
            case AwaitSlotEnd(_, horizon, session, slot):
                if slot == 0 and (late_s := self._clock.seconds_late(horizon, slot)) > 0.0:
                    self._say_late(session, late_s)
                self._await_slot_end(effect)
            case StopTimer(name):
                timer = self._timers.pop(name, None)
                if timer is not None:
                    timer.cancel()
            case Compute(_, work, brief=True):
                self._work_done(effect, *_timed(work))
            case Compute(name, work):
                self._computing.append(name)
                job = asyncio.get_running_loop().run_in_executor(self._executor, _timed, work)
                self._jobs.add(job)
                job.add_done_callback(
                    lambda done, effect=effect: self._guarded(self._job_done, effect, done)  # type: ignore[misc]
                )
            case Save(path, record):
                record.save(path)
            case Progress(phase, detail):
                self._tell(phase, detail)
            case Tidy():
                give_back_soon()
            case Finish():
                self._end(None)
            case Fail(reason):
                self._end(FleetError(f"{self.local_part}: {reason}"))

    def _say_late(self, session: int, late_s: float) -> None:
        """Tell, and keep, that a session was ready for its first slot when that had passed already."""
        late = {"session": session, "seconds": round(late_s, 3)}
        self._log.append_event("late", late)
        self._tell("late", late)

    def _repeat(self, envelope: Envelope) -> None:
        """Log and send once more; without a connection it is left to when there is one."""
        if self.connected:
            self._log.append_out(envelope, NOTE_RESENT)
            self.transmit(envelope)

    def _start_timer(self, name: str, seconds: float) -> None:
        running = self._timers.pop(name, None)
        if running is not None:
            running.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(
            seconds, self._guarded, self._timer_ran_out, name
        )

    def _await_slot_end(self, effect: AwaitSlotEnd) -> None:
        """Wait for a slot's end; the clock is asked again on the way: it may be set, or the machine sleep."""
        left_s = self._clock.seconds_until_slot_end(effect.horizon, effect.session, effect.slot)
        running = self._timers.pop(effect.name, None)
        if running is not None:
            running.cancel()
        self._timers[effect.name] = asyncio.get_running_loop().call_later(
            min(left_s, CLOCK_CHECK_S), self._guarded, self._look_at_clock, effect
        )

    def _look_at_clock(self, effect: AwaitSlotEnd) -> None:
        """Go on if the slot has passed, and only then: the clock may have been set back meanwhile."""
        left_s = self._clock.seconds_until_slot_end(effect.horizon, effect.session, effect.slot)
        if left_s > CLOCK_GRAIN_S:
            self._await_slot_end(effect)
        else:
            self._timer_ran_out(effect.name)

    async def _resend_overdue(self) -> None:
        while True:
            await asyncio.sleep(RESEND_CHECK_S)
            self._guarded(self._tell_floods)
            if self.connected:
                self._guarded(self._repeat_overdue)

    def _repeat_overdue(self) -> None:
        for envelope in self._exchange.due(self._now_s()):
            self._repeat(envelope)

    def _end(self, error: Exception | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)

    def _guarded(self, act: Callable[..., None], *arguments: object) -> None:
        """Whatever goes wrong inside ends the agent: half an effect is worse than a restart from the log."""
        if self.finished.done() and self.finished.exception() is not None:
            return
        try:
            act(*arguments)
        except Exception as error:
            self._end(error)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def planning_thread() -> ThreadPoolExecutor:
    """A thread for what takes long, one thing after another."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning")


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a computation, and how long it took [s]."""
    began_s = perf_counter()
    return work(), perf_counter() - began_s
