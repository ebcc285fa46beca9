import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.messagelog.record import instant_text
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import RunDirectory

START = datetime(2026, 6, 1, 10, tzinfo=UTC)


class Run:
    """A run's logs, written by hand on a clock that is set by hand."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.dir = RunDirectory(path)
        self.now = START
        self._stack = stack
        self._logs: dict[str, MessageLog] = {}
        self._ids = (f"m{number}" for number in itertools.count(1))

    def log(self, agent: str) -> MessageLog:
        if agent not in self._logs:
            log = MessageLog.open(self.dir.log(agent), agent, now=lambda: instant_text(self.now))
            self._logs[agent] = self._stack.enter_context(log)
        return self._logs[agent]

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def envelope(
        self, sender: str, recipient: str, performative: str, body: dict[str, Any], **more: Any
    ) -> Envelope:
        return Envelope(
            sender=f"{sender}@host",
            recipient=f"{recipient}@host",
            performative=Performative(performative),
            protocol=more.pop("protocol", "market"),
            conversation=more.pop("conversation", "session-0"),
            message_id=more.pop("message_id", None) or next(self._ids),
            body=json.dumps(body),
            **more,
        )

    def say(
        self,
        sender: str,
        recipient: str,
        performative: str,
        body: dict[str, Any],
        delay_s: float = 0.002,
        **more: Any,
    ) -> Envelope:
        """Log a message at both ends."""
        envelope = self.envelope(sender, recipient, performative, body, **more)
        self.log(sender).append_out(envelope)
        self.wait(delay_s)
        self.log(recipient).append_in(envelope)
        self.wait(1 - delay_s)
        return envelope

    @property
    def paths(self) -> list[Path]:
        return sorted(self.dir.logs_dir.glob("*.jsonl"))


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    with ExitStack() as stack:
        yield lambda name: Run(tmp_path / "runs" / name, stack)


@pytest.fixture
def run(new_run: Callable[[str], Run]) -> Run:
    """Two members through a round and a slot: eight messages, one a second."""
    run = new_run("demo")
    prices = {"import_price_eur_per_kwh": [0.1, 0.2], "export_price_eur_per_kwh": [0.05, 0.05]}
    for member, energy in (("school", 1.5), ("office", 2.5)):
        signal = {"type": "price-signal", "session": 0, "round": 3, **prices}
        cfp = run.say("coordinator", member, "cfp", signal, expects_reply=True)
        position = {"type": "position", "session": 0, "round": 3}
        position |= {"grid_import_kwh": [energy, 0.0], "grid_export_kwh": [0.0, 0.25]}
        run.say(member, "coordinator", "propose", position, in_reply_to=cfp.message_id)
    for member in ("school", "office"):
        request = {"type": "reading-request", "session": 0, "slot": 7, "roles": ["load"]}
        asked = run.say(member, f"{member}.meter", "request", request, protocol="metering", conversation="m")
        answer = {"type": "acknowledged"}
        run.say(
            f"{member}.meter", member, "inform", answer,
            protocol="metering", conversation="m", in_reply_to=asked.message_id,
        )  # fmt: skip
    return run
