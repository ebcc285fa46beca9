"""A SPADE agent that stays connected: verified TLS, redialling, envelopes in and out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import traceback
from collections.abc import Callable
from typing import Any, ClassVar
from xml.etree import ElementTree

from runtime.messaging import lean

lean.apply()

from spade.agent import Agent  # noqa: E402
from spade.behaviour import CyclicBehaviour  # noqa: E402
from spade.container import Container  # noqa: E402
from spade.message import Message  # noqa: E402
from spade.template import Template  # noqa: E402

from runtime import operations_log  # noqa: E402
from runtime.errors import AgentRefusedError, ProtocolError  # noqa: E402
from runtime.messaging.client import Ending, SlimClient  # noqa: E402
from runtime.messaging.connection import Connection  # noqa: E402
from runtime.messaging.dialling import Hosts, turn_to_connect  # noqa: E402
from runtime.messaging.spade_message import (  # noqa: E402
    envelope_of_message,
    message_of_stanza,
    stanza_text_of,
)
from runtime.messaging.taken_place import TakenPlace  # noqa: E402
from runtime.messaging.wire import check_sendable  # noqa: E402
from runtime.protocol.envelope import ONTOLOGY, Envelope  # noqa: E402

logger = logging.getLogger("runtime.messaging")

ATTEMPT_LIMIT_S = 15.0
"""How long one attempt to connect and log in may take."""

FIRST_BACKOFF_S, BACKOFF_LIMIT_S = 0.2, 5.0
"""Pause after a failed attempt: doubles from the first to the limit, times a random 0.5 to 1."""

STANZA_ID_PREFIX = "m"
"""Stanzas of messages are named after their messages, apart from those of slixmpp's queries."""

LASTING_S = 10.0
"""A connection that held this long makes the next pause the first again."""

SECRET_CHANGE_LIMIT_S = 180.0
"""How long a password may be refused that was good before, or that is of a deployment: a new secret reaches
server and agent at different times, and some orchestrators take minutes to hand one round."""

PING_AFTER_S, PING_TIMEOUT_S = 20.0, 10.0
"""When to ping a silent server, and when to take silence for a lost connection."""


class EnvelopeBehaviour(CyclicBehaviour):  # type: ignore[misc]
    """Hands the market's messages to the agent, in order, each as it comes.

    It has no use for SPADE's mailbox: what is put there waits for two turns of the event loop, which for a
    hundred answers to a coordinator is a hundred times two.
    """

    agent: ConnectedAgent

    def match(self, message: Message) -> bool:
        """Whether a message fits the template; SPADE's own also writes both out for a log nobody reads."""
        return bool(message.get_metadata("ontology") == ONTOLOGY)

    def take(self, message: Message) -> None:
        """Hand one message to the agent; called by its dispatcher."""
        try:
            envelope = envelope_of_message(message, self.agent.bare_jid)
        except ProtocolError as error:
            self.agent.call_hook(self.agent.on_malformed, message.sender.bare, str(error))
        else:
            self.agent.call_hook(self.agent.on_envelope, envelope)

    async def run(self) -> None:
        """Wait for the end of the agent."""
        try:
            await self.queue.get()
        except asyncio.CancelledError:
            # SPADE catches this and runs the behaviour again, so that an event loop could never close.
            self.kill()
            raise
        self.kill()


class ConnectedAgent(Agent):  # type: ignore[misc]
    """Base of the agents: subclass it and override the hooks.

    The hooks are called on the event loop and must not block.  ``setup()`` runs before the first login, so
    that nothing that arrives with the login can be missed; what has to be sent at the start goes into
    ``on_connected``.  Messages that match no behaviour count as malformed; their content is never logged.

    Attributes:
        most_returns: how many times in a row it comes back after another session of its account took its
            place (``TakenPlace``).
        connection: the server.
        bare_jid: who this agent is.
        refused: resolves with the error when the server will not have this agent; it then stops dialling.
        last_ending: why the latest connection ended or failed, empty before.
    """

    most_returns: ClassVar[float] = math.inf
    client: SlimClient | None
    refused: asyncio.Future[AgentRefusedError]

    def __init__(self, connection: Connection, local_part: str) -> None:
        """Prepare an agent; must be called while its event loop runs.

        Args:
            connection: the server, and the account's secret.
            local_part: the account, the part of the JID before the ``@``.
        """
        loop = asyncio.get_running_loop()
        # The container is one per process and keeps the loop it met first, which may be closed by now.
        Container().loop = loop
        super().__init__(connection.jid(local_part), "", port=connection.port, verify_security=True)
        # SPADE keeps copies of messages for its web page.
        self.traces.size = 0
        self.connection = connection
        self.local_part = local_part
        self.bare_jid = str(self.jid.bare)
        self.last_ending = ""
        self._hosts = Hosts(connection.hosts, local_part)
        self.refused = loop.create_future()
        self._receiver = EnvelopeBehaviour()
        self._dialling: asyncio.Task[None] | None = None
        self._first_login: asyncio.Future[None] = loop.create_future()

    # What a subclass overrides.

    def on_envelope(self, envelope: Envelope) -> None:
        """Take a message; in the order of arrival, its sender authenticated by the server."""

    def on_malformed(self, sender: str, reason: str) -> None:
        """Take note of a message that is none of the market's.

        Args:
            sender: bare JID the server authenticated.
            reason: what is wrong with it.
        """

    def on_connected(self) -> None:
        """Called after each login, when messages can be sent."""

    def on_disconnected(self) -> None:
        """Called when an established connection is lost."""

    # What a subclass and its user call.

    @property
    def connected(self) -> bool:
        """Whether messages can be sent just now."""
        return self.client is not None and self.client.usable

    async def start(self, auto_register: bool = False) -> None:
        """Set up, connect and return once logged in, however long the server takes to come up.

        Args:
            auto_register: as in SPADE; must stay False, accounts are made with the deployment.

        Raises:
            AgentRefusedError: the server refuses the password, or its certificate is not accepted.
        """
        if auto_register:
            raise ValueError("accounts are made with the deployment, agents do not register themselves")
        self.add_behaviour(self._receiver, Template(metadata={"ontology": ONTOLOGY}))
        await self.setup()
        self._alive.set()
        for behaviour in self.behaviours:
            if not behaviour.is_running:
                behaviour.start()
        self._dialling = asyncio.create_task(self._stay_connected(), name=f"connection of {self.bare_jid}")
        try:
            await asyncio.wait(
                (self._dialling, self._first_login, self.refused), return_when=asyncio.FIRST_COMPLETED
            )
            if self._dialling.done():
                self._dialling.result()
            if self.refused.done():
                raise self.refused.result()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Send what is queued, log out and end all behaviours. May be called twice."""
        if self._dialling is not None:
            self._dialling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._dialling
            self._dialling = None
        client, self.client = self.client, None
        if client is not None:
            await client.hang_up()
        for behaviour in list(self.behaviours):
            behaviour.kill()
        self._receiver.queue and self._receiver.queue.put_nowait(None)
        self._alive.clear()
        self.container.unregister(str(self.jid))

    def transmit(self, envelope: Envelope) -> bool:
        """Send a message if connected. Sent is not delivered: the connection may end before it is.

        Returns:
            False when there is no connection; the message is then not kept.

        Raises:
            ProtocolError: no server would carry it (empty, too long, characters XML does not allow), or
                the sender is not this agent.
        """
        if envelope.sender != self.bare_jid:
            raise ProtocolError(
                f"message {envelope.message_id}: its sender is {envelope.sender}, not this agent"
            )
        check_sendable(envelope)
        if self.client is None or not self.client.usable:
            return False
        self.client.send_raw(stanza_text_of(envelope, f"{STANZA_ID_PREFIX}{envelope.message_id}"))
        return True

    # Connection.

    async def _stay_connected(self) -> None:
        try:
            await self._dial_again_and_again()
        except Exception as error:
            if not self._first_login.done():
                raise
            # Nobody awaits this task any more; an agent that no longer dials has to be noticed.
            operations_log.say(
                "dialling-failed", self.local_part, level=logging.ERROR, reason=type(error).__name__
            )
            self.refused.set_result(AgentRefusedError(f"{self.bare_jid}: {error}"))

    async def _dial_again_and_again(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        taken_place = TakenPlace(self.most_returns)
        loop = asyncio.get_running_loop()
        good_until_s = loop.time()
        while True:
            client = SlimClient(
                self.connection, self.local_part, self._message_received, PING_AFTER_S, PING_TIMEOUT_S
            )
            self.client = client
            try:
                ending, held_s = await self._hold(client, loop)
            finally:
                if self.client is client and not loop.is_closed() and client.ended.done():
                    client.discard()
            self.last_ending = ending.reason
            first = not self._first_login.done()
            if not ending.password_refused:
                good_until_s = loop.time()
            reason, pause_s, patience_s = ending.reason, None, SECRET_CHANGE_LIMIT_S
            if first and not self.connection.secrets_may_change:
                patience_s = 0.0
            refused = ending.password_refused and loop.time() - good_until_s >= patience_s
            if refused and patience_s:
                reason = f"{reason}, for {patience_s:g} s"
            if ending.place_taken:
                pause_s = taken_place.taken(self.local_part, reason, held_s)
                reason = taken_place.why_over(reason)
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                continue
            if ending.place_taken or refused or (ending.untrusted and first):
                operations_log.say("refused-by-server", self.local_part, level=logging.ERROR, reason=reason)
                self.refused.set_result(AgentRefusedError(f"{self.bare_jid}: {reason}"))
                return
            operations_log.say(
                "not-connected",
                self.local_part,
                level=logging.ERROR if ending.untrusted else logging.WARNING,
                reason=ending.reason,
                held_s=round(held_s, 3),
            )
            backoff_s = FIRST_BACKOFF_S if held_s > LASTING_S else min(BACKOFF_LIMIT_S, 2 * backoff_s)
            await asyncio.sleep(random.uniform(0.5, 1.0) * backoff_s)

    async def _hold(self, client: SlimClient, loop: asyncio.AbstractEventLoop) -> tuple[Ending, float]:
        """Dial, log in and wait for the end of the connection."""
        async with turn_to_connect():
            client.connect(host=self._hosts.turn(), port=self.connection.port)
            await asyncio.wait(
                (client.logged_in, client.ended), timeout=ATTEMPT_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
        if not client.logged_in.done():
            if not client.ended.done():
                client.discard()
                return Ending(f"not connected within {ATTEMPT_LIMIT_S:g} s"), 0.0
            return client.ended.result(), 0.0
        since_s = loop.time()
        self._hosts.logged_in()
        operations_log.say("connected", self.local_part)
        if not self._first_login.done():
            self._first_login.set_result(None)
        self.call_hook(self.on_connected)
        # Cancelling this task does not end the connection, stop() closes it politely.
        await self._hosts.stay(client.ended, self.connection.port, self.connection.domain)
        if client.ended.done():
            ending = client.ended.result()
        else:
            await client.hang_up()
            ending = Ending(f"left for its own node, {self._hosts.own}")
        self.call_hook(self.on_disconnected)
        return ending, loop.time() - since_s

    # Reception.

    def _message_received(self, stanza: ElementTree.Element) -> None:
        """Deliver a stanza to every behaviour whose template it matches (replaces SPADE's)."""
        if stanza.get("type") == "error":
            # A bounce may carry the bounced message whole, as if its recipient had said it.
            return
        try:
            message = message_of_stanza(stanza)
        except ProtocolError as error:
            sender = stanza.get("from", "").partition("/")[0]
            self.call_hook(self.on_malformed, sender, f"unreadable: {error}")
            return
        self.dispatch(message)

    def dispatch(self, msg: Message) -> list[asyncio.Task[Any]]:
        """Deliver a message to the behaviours it matches (replaces SPADE's, which logs whole bodies)."""
        takers = [behaviour for behaviour in self.behaviours if behaviour.match(msg)]
        for behaviour in takers:
            if behaviour is self._receiver:
                self._receiver.take(msg)
            else:
                behaviour.queue.put_nowait(msg)
        if not takers:
            ontology = msg.get_metadata("ontology")
            found = "no ontology" if ontology is None else f"ontology {ontology!r:.80}"
            reason = f"expected ontology {ONTOLOGY!r}, found {found}"
            self.call_hook(self.on_malformed, msg.sender.bare, reason)
        return []

    def call_hook(self, hook: Callable[..., None], *arguments: object) -> None:
        """Call a hook; a failure is logged without the message it failed on, and the agent goes on."""
        try:
            hook(*arguments)
        except Exception as error:
            where = "".join(traceback.format_tb(error.__traceback__))
            kind = type(error).__name__
            logger.error("%s: %s failed with %s:\n%s", self.bare_jid, hook.__name__, kind, where)
