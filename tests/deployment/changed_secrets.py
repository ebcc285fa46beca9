"""What becomes of sessions whose secret is changed: a thief's are ended, the agent logs in again."""

from __future__ import annotations

import asyncio
import time

from tests.deployment.attacks import said_until_closed
from tests.deployment.outsider import Outsider
from tests.messaging.recording_agent import RecordingAgent, inform, say_until_heard

ENDED_WITHIN_S = 10.0
LOOKED_S = 3.0
"""By then a server has looked at its accounts, which it does every two seconds."""
"""The servers look every two seconds; the rest is for a machine that does much else."""


def keeps_no_session_beyond_a_change(deployment, connection, account, other):
    """Every session of ``account`` is ended, however far its login had come, and none of ``other``."""
    before = connection.password_for(account)
    with (
        Outsider(connection) as bound,
        Outsider(connection) as unbound,
        Outsider(connection) as held_back,
        Outsider(connection) as neighbour,
    ):
        bound.log_in(account)
        unbound.authenticate(account)
        unbound.send(unbound.header)
        unbound.until("</stream:features>")
        last_word = held_back.begins_to_authenticate(account)
        neighbour.log_in(other)
        time.sleep(LOOKED_S)  # at what has not changed
        bound.ping()
        began_s = time.monotonic()
        deployment.rotate([account])
        with Outsider(connection) as late:
            assert "<not-authorized/>" in late.authenticate(account, before)
        for session in (bound, unbound):
            said = said_until_closed(session)
            assert "secret was changed" in said, said
        assert "<success" in held_back.ends_authenticating(last_word)
        said_until_closed(held_back)  # ejabberd says why only once the stream has a head
        assert time.monotonic() - began_s < ENDED_WITHIN_S
        with Outsider(connection) as client:
            client.log_in(account)
            time.sleep(LOOKED_S)
            client.ping()
        neighbour.ping()


async def is_back_after_a_change(deployment, connection, account, other):
    """The account's agent logs in with the new secret by itself; its neighbour's connection stays."""
    agent, neighbour = RecordingAgent(connection, account), RecordingAgent(connection, other)
    await asyncio.wait_for(asyncio.gather(agent.start(), neighbour.start()), 20)
    deployment.rotate([account])
    await agent.until(lambda: agent.connects == 2, ENDED_WITHIN_S)
    assert "reset" in agent.last_ending
    assert not agent.refused.done()
    await say_until_heard(neighbour, agent, inform(neighbour.bare_jid, agent.bare_jid))
    assert neighbour.connects == 1
    await asyncio.gather(agent.stop(), neighbour.stop())


def loses_its_sessions_with_its_account(deployment, connection, account):
    """Nobody stays whose account the server's file names no longer."""
    whole = deployment.server_accounts.read_text()
    try:
        with Outsider(connection) as session:
            session.log_in(account)
            deployment.server_accounts.write_text(whole.replace(f'"{account}"', '"nobody"'))
            assert "account is gone" in said_until_closed(session)
    finally:
        deployment.server_accounts.write_text(whole)


def lives_through_half_a_file(deployment, connection, account):
    """A file that cannot be read ends no session."""
    whole = deployment.server_accounts.read_text()
    try:
        with Outsider(connection) as session:
            session.log_in(account)
            deployment.server_accounts.write_text(whole[: len(whole) // 2])
            time.sleep(LOOKED_S)
            session.ping()
            deployment.server_accounts.unlink()
            time.sleep(LOOKED_S)
            session.ping()
    finally:
        deployment.server_accounts.write_text(whole)
