"""The transport of a drill: drops or doubles a share of messages while its flag is there, and only then."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import pytest

from runtime.drills.lossy.__main__ import Lossiness, make_lossy
from runtime.messaging.agent import ConnectedAgent
from runtime.protocol.envelope import Envelope, Performative

MESSAGES = 400


class Played:
    connected = True


@pytest.mark.parametrize(("how", "each"), [("drop", 0), ("duplicate", 2)])
def test_a_share_of_messages_fares_badly_while_the_flag_is_there(
    how: Literal["drop", "duplicate"], each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def transmit(agent: object, envelope: Envelope) -> bool:
        sent.append(envelope.message_id)
        return True

    monkeypatch.setattr(ConnectedAgent, "transmit", transmit)
    flag = tmp_path / "on"
    make_lossy(Lossiness(how=how, share=0.3, seed="1", flag=flag))

    def told() -> list[int]:
        """How often each of the messages was really sent."""
        sent.clear()
        for number in range(MESSAGES):
            message = Envelope("a@x", "b@x", Performative.INFORM, "market", "s", str(number), "{}")
            assert ConnectedAgent.transmit(Played(), message)  # type: ignore[arg-type]
        return [sent.count(str(number)) for number in range(MESSAGES)]

    assert told() == [1] * MESSAGES
    flag.touch()
    times = told()
    assert {*times} == {1, each}
    assert 0.2 < times.count(each) / MESSAGES < 0.4
    flag.unlink()
    assert told() == [1] * MESSAGES


def test_words_of_some_types_are_dropped_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def transmit(agent: object, envelope: Envelope) -> bool:
        sent.append(envelope.message_id)
        return True

    monkeypatch.setattr(ConnectedAgent, "transmit", transmit)
    flag = tmp_path / "on"
    make_lossy(Lossiness(how="drop-once", share=1.0, types=("bill-line",), seed="1", flag=flag))
    messages = [
        Envelope("a@x", "b@x", Performative.INFORM, "market", "s", str(number), f'{{"type": "{kind}"}}')
        for number, kind in enumerate(("bill-line", "agreement", "bill-line"))
    ]
    for on in (False, True, True):
        if on:
            flag.touch()
        for message in messages:
            assert ConnectedAgent.transmit(Played(), message)  # type: ignore[arg-type]
        sent.append("")
    assert "".join(f"{each or '|'}" for each in sent) == "012|1|012|"


def test_coordinators_are_severed_after_the_first_acceptance_and_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def transmit(agent: object, envelope: Envelope) -> bool:
        sent.append(envelope.message_id)
        return True

    monkeypatch.setattr(ConnectedAgent, "transmit", transmit)
    flag = tmp_path / "on"
    make_lossy(Lossiness(how="sever", share=1.0, seconds=50.0, seed="1", flag=flag))

    class Coordinator(Played):
        local_part = "coordinator"

    def said() -> str:
        sent.clear()
        for number, (to, act) in enumerate(
            [
                ("coordinator2@x", Performative.PROPOSE),
                ("coordinator2@x", Performative.ACCEPT_PROPOSAL),
                ("coordinator2@x", Performative.CONFIRM),
                ("m1@x", Performative.ACCEPT_PROPOSAL),
            ]
        ):
            message = Envelope("coordinator@x", to, act, "communities", "s", str(number), "{}")
            assert ConnectedAgent.transmit(Coordinator(), message)  # type: ignore[arg-type]
        return "".join(sent)

    assert said() == "0123"
    flag.touch()
    assert said() == "013", "the acceptance is the last that gets through"
    assert said() == "3"
    begun_s = time.time() - 60.0
    os.utime(tmp_path / "on-severed", (begun_s, begun_s))
    assert said() == "0123"
