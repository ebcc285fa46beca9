"""What an agent repeats after a crash though nobody asks for it: it may not have left the process."""

from __future__ import annotations

from pathlib import Path

from runtime.clock import SimulatedClock
from runtime.messagelog.writer import MessageLog
from runtime.messaging.connection import Connection
from runtime.messaging.host import MachineAgent
from runtime.protocol.bodies import AnyBody, Join, Reason
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Machine

ME, PEER = "clerk@a.test", "customer@a.test"


class Answering(Machine):
    def on_start(self) -> None:
        pass

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        self.reply(envelope, Performative.AGREE, Reason(reason="yes"))


def question(number: int) -> Envelope:
    body = Join(member="x").to_json()
    return Envelope(PEER, ME, Performative.REQUEST, "join", "c", f"q{number}", body, expects_reply=True)


def answer(number: int) -> Envelope:
    body = Reason(reason="yes").to_json()
    return Envelope(ME, PEER, Performative.AGREE, "join", "c", str(number), body, in_reply_to=f"q{number}")


async def repeated_after(log_path: Path, seconds: list[int], answered: int) -> list[Envelope]:
    """Questions arrive at these seconds, the first ``answered`` are answered; then the process is gone."""
    at = [""]
    with MessageLog.open(log_path, "clerk", now=lambda: at[0] or "2025-01-01T00:00:00.000000Z") as log:
        log.append_event("started", {})
        for number, second in enumerate(seconds, start=1):
            at[0] = f"2025-01-01T00:00:{second:02}.000000Z"
            log.append_in(question(number))
            if number <= answered:
                log.append_out(answer(number))
    connection = Connection(
        domain="a.test",
        host="h",
        port=1,
        ca_file=log_path.with_name("ca"),
        secrets_dir=log_path.parent,
    )
    log_path.with_name("clerk").write_text("secret")
    with MessageLog.open(log_path, "clerk") as log:
        agent = MachineAgent(connection, "clerk", Answering(ME), log, SimulatedClock(), lambda *_: None)
        return agent._replay.unsure()


async def test_an_answer_logged_just_before_the_crash_is_repeated_and_older_ones_are_not(tmp_path: Path):
    assert await repeated_after(tmp_path / "clerk.jsonl", [10, 20, 20], answered=3) == [answer(2), answer(3)]


async def test_an_answer_that_is_not_in_the_log_is_sent_anew_instead(tmp_path: Path):
    repeated = await repeated_after(tmp_path / "clerk.jsonl", [10, 20], answered=1)
    assert repeated == []
