"""How an agent answers the inspector: it tells how it stands, and refuses everything else.

Its machine is asked for its standing and told of nothing, so whatever the inspector says, the market and a
replay of it are the same. That somebody looked on is an event of the log; the questions are not in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from runtime import operations_log
from runtime.errors import ProtocolError
from runtime.messagelog.speakers import role_of
from runtime.messagelog.writer import MessageLog
from runtime.protocol.bodies import Reason
from runtime.protocol.envelope import INSPECTION, Envelope, Performative
from runtime.protocol.exchange import Exchange
from runtime.protocol.inspection import INSPECTED, INSPECTION_REFUSED, Status, parse_query
from runtime.protocol.machine import Machine
from runtime.protocol.reactions import NEVER_ANSWERED
from runtime.rundir import INSPECTOR

LOGGED_AGAIN_AFTER_S = 60.0
"""An inspector that goes on asking is logged once in so long."""

MOST_REFUSALS_LOGGED = 100
"""So many refusals are logged for each life of a process, that an inspector cannot fill the disk."""


class Inspected:
    """One agent as the inspector sees it.

    Attributes:
        inspector: bare JID of the only account that is answered so.
        reconnects: how often the agent's connection came back.
    """

    def __init__(
        self, machine: Machine, log: MessageLog, exchange: Exchange, computing: Callable[[], list[str]]
    ) -> None:
        """Answer for an agent; the event loop runs.

        Args:
            machine: what it decides.
            log: its message log.
            exchange: its unanswered messages.
            computing: gives the names of computations under way.
        """
        self._account, _, domain = machine.jid.partition("@")
        self.inspector = f"{INSPECTOR}@{domain}"
        self.reconnects = 0
        self._machine = machine
        self._log = log
        self._exchange = exchange
        self._computing = computing
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._logged_s: float | None = None
        self._refusals = 0
        self._answers = 0

    def answer(self, envelope: Envelope) -> Envelope | None:
        """Answer what the inspector said; None where nothing is to be said."""
        if envelope.performative in NEVER_ANSWERED:
            return None
        if (envelope.performative, envelope.protocol) != (Performative.QUERY_REF, INSPECTION):
            reason = f"an inspector may ask (query-ref) for the status, not {envelope.performative}"
            return self._refused(envelope, Performative.REFUSE, reason)
        try:
            parse_query(envelope.body)
        except ProtocolError as error:
            return self._refused(envelope, Performative.NOT_UNDERSTOOD, str(error))
        try:
            status = self._status()
        except Exception as error:  # a question must not end the agent, whatever is wrong with its answer
            operations_log.say(
                "status-failed", self._account, level=logging.ERROR, reason=f"{type(error).__name__}: {error}"
            )
            return self._reply(
                envelope, Performative.FAILURE, Reason(reason="its status cannot be told").to_json()
            )
        self._looked_on()
        return self._reply(envelope, Performative.INFORM, status.to_json())

    def malformed(self, reason: str) -> None:
        """Take note that the inspector sent what is no message."""
        self._note_refusal({"reason": reason})

    def _status(self) -> Status:
        unanswered = {envelope.recipient.partition("@")[0] for envelope in self._exchange.waiting}
        own = {"waits_for": sorted(unanswered), **self._machine.standing()}
        return Status(
            agent=self._account,
            role=role_of(self._account).value,
            computing=self._computing(),
            up_s=round(self._loop.time() - self._began_s, 3),
            records=self._log.head[0],
            reconnects=self.reconnects,
            **own,
        )

    def _looked_on(self) -> None:
        now_s = self._loop.time()
        if self._logged_s is None or now_s - self._logged_s >= LOGGED_AGAIN_AFTER_S:
            self._logged_s = now_s
            self._log.append_event(INSPECTED, {"by": self.inspector})

    def _refused(self, envelope: Envelope, performative: Performative, reason: str) -> Envelope:
        self._note_refusal({"performative": str(envelope.performative), "reason": reason})
        return self._reply(envelope, performative, Reason(reason=reason).to_json())

    def _note_refusal(self, what: dict[str, str]) -> None:
        self._refusals += 1
        if self._refusals <= MOST_REFUSALS_LOGGED:
            self._log.append_event(INSPECTION_REFUSED, {"by": self.inspector, **what})
            operations_log.say(INSPECTION_REFUSED, self._account, level=logging.WARNING, **what)

    def _reply(self, to: Envelope, performative: Performative, body: str) -> Envelope:
        self._answers += 1
        return Envelope(
            sender=self._machine.jid,
            recipient=to.sender,
            performative=performative,
            protocol=to.protocol,
            conversation=to.conversation,
            message_id=f"inspection-{self._answers}",
            body=body,
            in_reply_to=to.message_id,
        )
