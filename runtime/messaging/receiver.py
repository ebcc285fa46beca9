"""What a SPADE agent takes the market's messages with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.messaging import lean

lean.apply()

from spade.behaviour import CyclicBehaviour  # noqa: E402
from spade.message import Message  # noqa: E402

from runtime.errors import ProtocolError  # noqa: E402
from runtime.messaging.spade_message import envelope_of_message  # noqa: E402
from runtime.protocol.envelope import ONTOLOGY  # noqa: E402

if TYPE_CHECKING:
    from runtime.messaging.agent import ConnectedAgent


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
