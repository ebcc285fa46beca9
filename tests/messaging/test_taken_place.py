"""How an account comes back whose place another session takes: less and less often, loudly, for ever."""

from __future__ import annotations

import asyncio
import logging

import pytest
from recording_agent import RecordingAgent
from xmpp_servers import ACCOUNTS, SERVERS

from runtime.messaging import taken_place
from runtime.messaging.connection import Connection
from runtime.messaging.lean_agent import LeanAgent
from runtime.messaging.lean_link import account_on
from runtime.messaging.taken_place import FIRST_PAUSE_S, FORGOTTEN_AFTER_S, PAUSE_LIMIT_S, TakenPlace


def alarms(caplog, account):
    return [each for each in caplog.records if each.message == taken_place.EVENT and each.agent == account]


def test_pauses_grow_from_a_second_to_half_a_minute():
    place = TakenPlace()
    pauses_s = [place.taken("house", "why", 0.1) for _ in range(2000)]
    for number, pause_s in enumerate(pauses_s):
        longest_s = min(PAUSE_LIMIT_S, FIRST_PAUSE_S * 2.0 ** min(number, 10))
        assert longest_s / 2 <= pause_s <= longest_s
    assert (FIRST_PAUSE_S, PAUSE_LIMIT_S) == (1.0, 30.0)


def test_taking_turns_is_not_forgotten_and_a_lasting_connection_forgets():
    place = TakenPlace()
    for _ in range(10):
        assert place.taken("house", "why", PAUSE_LIMIT_S) <= PAUSE_LIMIT_S
    assert place.times == 10
    assert place.taken("house", "why", FORGOTTEN_AFTER_S + 1) <= FIRST_PAUSE_S
    assert place.times == 1


def test_each_time_is_an_alarm_that_says_what_may_be_and_what_to_do(caplog):
    place = TakenPlace()
    for held_s in (3.0, 0.25):
        place.taken("house", "another session of house@x took this one's place", held_s)
    first, second = alarms(caplog, "house")
    assert first.levelno == logging.ERROR
    assert (first.fields["times"], second.fields["times"]) == (1, 2)
    assert second.fields["held_s"] == 0.25
    for word in ("another session of house@x", "started twice", "stolen", "peerwatt secrets rotate"):
        assert word in first.fields["reason"]
    assert 0.5 <= first.fields["next_attempt_s"] <= 1.0


def test_who_comes_back_only_so_often_gives_up_unless_a_connection_held_long():
    place = TakenPlace(most_returns=2)
    for held_s in (0.1, 0.1, FORGOTTEN_AFTER_S + 1, 0.1):
        assert place.taken("meter", "why", held_s) is not None
    assert place.taken("meter", "why", FORGOTTEN_AFTER_S) is None
    assert place.why_over("taken").startswith("taken, 3 times in a row: it was attached twice, or")


def test_who_never_comes_back_gives_way_without_an_alarm(caplog):
    place = TakenPlace(most_returns=0)
    assert place.taken("inspector", "why", 1.0) is None
    assert place.why_over("taken") == "taken"
    assert alarms(caplog, "inspector") == []


class AttachedTwice(RecordingAgent):
    most_returns = 3


class DeviceAttachedTwice(LeanAgent):
    most_returns = 3

    def __init__(self, connection, local_part):
        super().__init__(account_on(connection, local_part))


@pytest.mark.parametrize("kind", [AttachedTwice, DeviceAttachedTwice])
async def test_of_two_that_were_attached_by_mistake_one_gives_up_and_the_other_stays(
    kind, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(taken_place, "FIRST_PAUSE_S", 0.05)
    running = SERVERS["embedded"](tmp_path)
    twins = [kind(running.start(), "meter"), None]
    try:
        twins[1] = kind(Connection.load(tmp_path / "connection.json"), "meter")
        for twin in twins:
            await asyncio.wait_for(twin.start(), 20)
        done, _ = await asyncio.wait(
            [twin.refused for twin in twins], timeout=30, return_when=asyncio.FIRST_COMPLETED
        )
        (over,) = done
        assert "another session of meter@" in str(over.result())
        assert "4 times in a row: it was attached twice" in str(over.result())
        await asyncio.sleep(1.0)
        (stays,) = (twin for twin in twins if not twin.refused.done())
        assert stays.connected
        assert len(alarms(caplog, "meter")) in (6, 7)
    finally:
        await asyncio.gather(*(twin.stop() for twin in twins if twin is not None))
        running.kill()


@pytest.mark.parametrize("server", ["embedded", "prosody", "ejabberd"])
async def test_an_agent_started_twice_takes_turns_ever_more_slowly_and_neither_is_silent(
    server, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(taken_place, "FIRST_PAUSE_S", 0.1)
    running = SERVERS[server](tmp_path)
    connection = running.start()
    twins = [RecordingAgent(connection, ACCOUNTS[0]) for _ in range(2)]
    try:
        for twin in twins:
            await asyncio.wait_for(twin.start(), 20)
        async with asyncio.timeout(30):
            while min(twin.disconnects for twin in twins) < 4:
                await asyncio.sleep(0.1)
        said = alarms(caplog, ACCOUNTS[0])
        assert len(said) == sum(twin.disconnects for twin in twins)
        assert max(each.fields["next_attempt_s"] for each in said[:2]) <= 0.1
        assert min(each.fields["next_attempt_s"] for each in said[-2:]) >= 0.3
        assert not any(twin.refused.done() for twin in twins)
    finally:
        await asyncio.gather(*(twin.stop() for twin in twins))
        running.kill()
