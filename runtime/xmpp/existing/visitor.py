"""One look at an account: logs in, sees what is there, and leaves again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from xml.etree import ElementTree

from slixmpp import JID
from slixmpp.exceptions import IqError, IqTimeout

from runtime.messaging.agent import ATTEMPT_LIMIT_S, PING_AFTER_S, PING_TIMEOUT_S
from runtime.messaging.client import RESOURCE, Ending, SlimClient
from runtime.messaging.connection import Connection
from runtime.messaging.dialling import turn_to_connect

VISITING = "check"
"""Resource of who only looks: an agent that has the account for itself keeps it."""

_PRESENCE = "{jabber:client}presence"


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of it.

    Attributes:
        account: local part.
        ending: why it failed; None if it did not.
        in_use: whether an agent is logged in with the account.
        messages: how many waited for the account, and are gone now.
    """

    account: str
    ending: Ending | None = None
    in_use: bool = False
    messages: int = 0


class Visitor(SlimClient):
    """A connection of an account beside its agent's, if there is one.

    Attributes:
        in_use: whether the account's agent is logged in.
        messages: how many came in.
    """

    def __init__(self, connection: Connection, account: str, *, takes_messages: bool) -> None:
        self.in_use = False
        self.messages = 0
        super().__init__(connection, account, self._count, PING_AFTER_S, PING_TIMEOUT_S)
        self.requested_jid = JID(f"{connection.jid(account)}/{VISITING}")
        # What waits for an account goes to who is there with a priority not below zero (RFC 6121 8.5.2).
        self._priority = 0 if takes_messages else -1

    def send_presence(self, *_: object, **__: object) -> None:
        """Be there."""
        super().send_presence(ppriority=self._priority)

    async def look(self) -> None:
        """Wait until the server has told what there is to tell.

        Raises:
            IqTimeout: it does not answer.
        """
        for _ in range(2):  # what was waiting may be sent after the first answer, but before the second
            ping = self.Iq()
            ping["type"] = "get"
            ping["to"] = self.boundjid.host
            ping.append(ElementTree.Element("{urn:xmpp:ping}ping"))
            try:
                await ping.send(timeout=PING_TIMEOUT_S)  # type: ignore[no-untyped-call]
            except IqError:
                continue  # an error is an answer too

    def _count(self, _: ElementTree.Element) -> None:
        self.messages += 1

    def _spawn_event(self, xml: ElementTree.Element) -> None:
        if xml.tag == _PRESENCE:
            sender = JID(xml.get("from", ""))
            same_account = sender.bare == self.boundjid.bare
            self.in_use |= same_account and sender.resource == RESOURCE and xml.get("type") is None
            return
        super()._spawn_event(xml)


async def visit(connection: Connection, account: str, *, takes_messages: bool) -> Visit:
    """Log in with an account, look, and leave.

    Args:
        connection: the server, and the account's secret.
        account: local part.
        takes_messages: whether what waits for the account is taken away.
    """
    async with turn_to_connect():
        client = Visitor(connection, account, takes_messages=takes_messages)
        try:
            client.connect(host=connection.host, port=connection.port)
            await asyncio.wait(
                (client.logged_in, client.ended), timeout=ATTEMPT_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not client.logged_in.done():
                ended = client.ended.result() if client.ended.done() else None
                return Visit(account, ended or Ending(f"no login within {ATTEMPT_LIMIT_S:g} s"))
            try:
                await client.look()
            except IqTimeout:
                return Visit(account, Ending(f"no answer within {PING_TIMEOUT_S:g} s of the login"))
            return Visit(account, None, client.in_use, client.messages)
        finally:
            await client.hang_up()
