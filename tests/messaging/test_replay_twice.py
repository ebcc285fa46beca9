"""What is repeated after a second crash: a life in between may have done it, or nothing at all."""

from __future__ import annotations

from pathlib import Path

from runtime.messagelog.record import NOTE_RESENT
from runtime.messagelog.writer import MessageLog
from runtime.messaging.replay import Replay
from runtime.protocol.bodies import AnyBody, Join, Reason
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Machine
from runtime.protocol.reactions import Reactions

ME, PEER = "clerk@a.test", "customer@a.test"


class Answering(Machine):
    def on_start(self) -> None:
        pass

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        self.reply(envelope, Performative.AGREE, Reason(reason="yes"))


QUESTION = Envelope(
    PEER, ME, Performative.REQUEST, "join", "c", "q1", Join(member="x").to_json(), expects_reply=True
)
ANSWER = Envelope(
    ME, PEER, Performative.AGREE, "join", "c", "1", Reason(reason="yes").to_json(), in_reply_to="q1"
)


def at(second: int) -> str:
    return f"2025-01-01T00:00:{second:02}.000000Z"


def answered_then(path: Path, lives: list[list[str]]) -> list[Envelope]:
    """An answer at second 1, then lives that begin ten seconds after each other; what is repeated after."""
    with MessageLog.open(path, "clerk", now=lambda: at(1)) as log:
        log.append_event("started", {})
        log.append_in(QUESTION)
        log.append_out(ANSWER)
    for number, notes in enumerate(lives, start=1):
        with MessageLog.open(path, "clerk", now=lambda number=number: at(10 * number)) as log:  # type: ignore[misc]
            for note in notes:
                log.append_out(ANSWER, note)
    with MessageLog.open(path, "clerk") as log:
        replay = Replay(Reactions(Answering(ME)))
        replay.run(log)
        return replay.unsure()


def test_a_life_that_did_nothing_leaves_it_to_the_next(tmp_path: Path) -> None:
    assert answered_then(tmp_path / "clerk.jsonl", [[], []]) == [ANSWER]


def test_what_a_life_repeated_just_before_it_ended_is_repeated_again(tmp_path: Path) -> None:
    assert answered_then(tmp_path / "clerk.jsonl", [[NOTE_RESENT], []]) == [ANSWER]
