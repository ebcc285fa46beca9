"""The inspector: asks agents over XMPP how they stand, and takes nothing but their answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import ProtocolError
from runtime.messaging.lean_agent import LeanAgent
from runtime.messaging.lean_link import Account
from runtime.protocol.envelope import INSPECTION, Envelope, Performative
from runtime.protocol.inspection import Status, StatusQuery, parse_status

ASK_AGAIN_AFTER_S = 60.0
"""An agent that does not answer is not asked again for so long: its server keeps what it was asked."""


@dataclass(frozen=True)
class Answer:
    """What an agent answered, or not.

    Attributes:
        agent: its account.
        status: how it stands; None if it did not say.
        problem: why not; empty if it did.
        delay_s: how long the answer took [s].
    """

    agent: str
    status: Status | None
    problem: str = ""
    delay_s: float | None = None


@dataclass
class _Question:
    message_id: str
    asked_s: float
    answered: asyncio.Future[tuple[Envelope, float]]


class Inspector(LeanAgent):
    """The inspector's account; ``start`` it, ``look`` as often as wanted, ``stop`` it.

    Who inspects from elsewhere takes its place, and it says so.
    """

    most_returns = 0

    def __init__(self, account: Account) -> None:
        """Prepare; the event loop runs.

        Args:
            account: the inspector's.
        """
        super().__init__(account)
        self._life = secrets.token_hex(4)
        self._questions: dict[str, _Question] = {}
        self._asked = 0

    async def look(
        self, coordinators: Sequence[str], members: Sequence[str] = (), *, limit_s: float
    ) -> list[Answer]:
        """Ask coordinators, then all members that they name.

        Args:
            coordinators: their accounts.
            members: members to ask even if no coordinator answers.
            limit_s: how long coordinators, and then members, are waited for [s].

        Returns:
            Coordinators first, then members in the coordinators' order.

        Raises:
            AgentRefusedError: the server will not have this account any more.
        """
        leading = await self._ask_all(coordinators, limit_s)
        named = [each.name for answer in leading if answer.status for each in answer.status.members]
        return [*leading, *await self._ask_all(list(dict.fromkeys([*named, *members])), limit_s)]

    async def _ask_all(self, agents: Sequence[str], limit_s: float) -> list[Answer]:
        answers = await asyncio.gather(*(self.ask(agent, limit_s) for agent in agents))
        if self.refused.done():
            raise self.refused.result()
        return answers

    async def ask(self, agent: str, limit_s: float) -> Answer:
        """Ask one agent how it stands.

        Args:
            agent: its account.
            limit_s: how long it is waited for [s].
        """
        question = self._question(agent)
        if question is None:
            return Answer(agent, None, "no connection to the server")
        try:
            envelope, answered_s = await asyncio.wait_for(asyncio.shield(question.answered), limit_s)
        except TimeoutError:
            return Answer(agent, None, "no answer")
        del self._questions[agent]
        if envelope.performative is not Performative.INFORM:
            return Answer(agent, None, f"answered {envelope.performative}")
        try:
            status = parse_status(envelope.body)
        except ProtocolError as error:
            return Answer(agent, None, f"answered what is no status: {error}")
        return Answer(agent, status, delay_s=answered_s - question.asked_s)

    def _question(self, agent: str) -> _Question | None:
        """The question that the agent has still to answer, or a new one; None without a connection."""
        loop = asyncio.get_running_loop()
        known = self._questions.get(agent)
        if known is not None and (known.answered.done() or loop.time() - known.asked_s < ASK_AGAIN_AFTER_S):
            return known
        self._asked += 1
        message_id = f"{self._life}-{self._asked}"
        sent = self.transmit(
            Envelope(
                sender=self.bare_jid,
                recipient=f"{agent}@{self.account.domain}",
                performative=Performative.QUERY_REF,
                protocol=INSPECTION,
                conversation=INSPECTION,
                message_id=message_id,
                body=StatusQuery().to_json(),
            )
        )
        if not sent:
            return None
        self._questions[agent] = question = _Question(message_id, loop.time(), loop.create_future())
        return question

    def on_envelope(self, envelope: Envelope) -> None:
        """Take an answer to what was asked; all else is passed over."""
        agent, _, domain = envelope.sender.partition("@")
        question = self._questions.get(agent)
        if (
            question is not None
            and domain == self.account.domain
            and envelope.in_reply_to == question.message_id
            and not question.answered.done()
        ):
            question.answered.set_result((envelope, asyncio.get_running_loop().time()))

    def on_disconnected(self) -> None:
        """What was asked may be lost: it is asked again."""
        self._questions = {
            agent: question for agent, question in self._questions.items() if question.answered.done()
        }
