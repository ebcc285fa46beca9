"""Toy machines that agents carry in tests, and a log whose process dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.errors import ProtocolError
from runtime.messagelog.writer import MessageLog
from runtime.protocol.bodies import Acknowledged, AnyBody, Join, Reason, SessionClosed
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Compute, Fail, Finish, Machine, Progress, StartTimer

QUESTIONS = ["sum", "reckon", "reckon", "sum"]


class Clerk(Machine):
    """Answers questions, some after reckoning; after the last it says goodbye and waits for the echo."""

    customer = ""

    def __init__(self, jid: str, work: Callable[[], str] = lambda: "reckoned") -> None:
        super().__init__(jid)
        self.work = work
        self.effects: list[str] = []
        self.asked: list[Envelope] = []
        self.look: Callable[[Envelope], None] = lambda envelope: None

    def on_start(self) -> None:
        self.do(Progress("open"))

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        self.look(envelope)
        match body:
            case Join(member="nobody"):
                raise ProtocolError("nobody may not join")
            case Join(member="breakage"):
                raise ZeroDivisionError("a fault in the machine")
            case Join(member="failure"):
                self.do(Fail("the books are lost"))
            case Join(member="reckon"):
                self.asked.append(envelope)
                self.do(Compute(f"work-{len(self.asked)}", self.work))
            case Join(member=word):
                self._answer(envelope, word)
            case Acknowledged():
                self.do(Finish())
            case _:
                self.effects.append(body.type)

    def on_computed(self, name: str, result: Any) -> None:
        self._answer(self.asked[int(name.removeprefix("work-")) - 1], result)

    def _answer(self, asked: Envelope, word: str) -> None:
        self.effects.append(word)
        self.reply(asked, Performative.AGREE, Reason(reason=f"{word} {len(self.effects)}"))
        if len(self.effects) == len(QUESTIONS):
            self.do(StartTimer("closing", 0.05))

    def on_timer(self, name: str) -> None:
        assert name == "closing"
        self.send(
            f"{self.customer}@{self.jid.split('@')[1]}",
            Performative.INFORM,
            SessionClosed(session=0, amount_eur="1.23", last=True),  # type: ignore[arg-type]
            protocol="market",
            conversation="c",
            expects_reply=True,
        )


class Customer(Machine):
    """Asks its questions one after the other, then waits for the goodbye."""

    def __init__(self, jid: str, clerk: str) -> None:
        super().__init__(jid)
        self.clerk = clerk
        self.heard: list[str] = []

    def on_start(self) -> None:
        self._ask()

    def _ask(self) -> None:
        self.send(
            self.clerk,
            Performative.REQUEST,
            Join(member=QUESTIONS[len(self.heard)]),
            protocol="join",
            conversation="c",
            expects_reply=True,
        )

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        if isinstance(body, SessionClosed):
            self.heard.append("goodbye")
            self.reply(envelope, Performative.CONFIRM, Acknowledged())
            return
        assert isinstance(body, Reason)
        self.heard.append(body.reason)
        if len(self.heard) < len(QUESTIONS):
            self._ask()


class CrashError(Exception):
    """The process is gone."""


class CrashingLog:
    """A log whose process dies at its n-th record: before it is written, or right after."""

    def __init__(self, log: MessageLog, at: int, written: bool) -> None:
        self._log, self._left, self._written = log, at, written

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._log, name)
        return self._dying(act) if name.startswith("append_") else act

    def _dying(self, append: Callable[..., int]) -> Callable[..., int]:
        def act(*arguments: Any) -> int:
            self._left -= 1
            if self._left < 0 or (self._left == 0 and not self._written):
                raise CrashError
            place = append(*arguments)
            if self._left == 0:
                raise CrashError
            return place

        return act
