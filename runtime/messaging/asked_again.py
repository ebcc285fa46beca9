"""What an agent says to who asks again: the reply that it gave, unless that is sure to have arrived."""

from __future__ import annotations

from pathlib import Path

from runtime.messagelog.replies import logged_reply
from runtime.protocol.envelope import Envelope
from runtime.protocol.exchange import Exchange

SEARCHES_AT_ONCE = 20
"""So often the log is searched for one sender before it has to wait: who comes back may have so much to ask
again, and repeats what is not answered."""

SEARCHES_APART_S = 0.5
"""Beyond those, once in this time [s], so that who asks for old answers without end does not keep the agent
busy."""


class AskedAgain:
    """Finds the replies to messages that come again, in memory or else in the agent's log."""

    def __init__(self, exchange: Exchange, log: Path) -> None:
        """Look replies up.

        Args:
            exchange: knows which of the agent's messages have been answered.
            log: the agent's message log.
        """
        self._exchange = exchange
        self._log = log
        self._paid_until_s: dict[str, float] = {}

    def reply_to(self, envelope: Envelope, kept: Envelope | None, now_s: float) -> Envelope | None:
        """The reply to repeat to a message that came again, if any.

        A reply that was itself answered has arrived. Were it repeated, its receiver would repeat that answer
        in turn, and so on along a conversation in which each message answers the one before.

        Args:
            envelope: the message.
            kept: the reply to it, if it is still in memory.
            now_s: time of the agent's event loop [s].

        Raises:
            LogError: the log cannot be read.
        """
        reply = kept
        if reply is None and envelope.expects_reply and self._may_search(envelope.sender, now_s):
            reply = logged_reply(self._log, envelope)
        if reply is None or (reply.expects_reply and not self._exchange.awaits_reply(reply.message_id)):
            return None
        return reply

    def _may_search(self, sender: str, now_s: float) -> bool:
        paid_until_s = max(now_s, self._paid_until_s.get(sender, now_s)) + SEARCHES_APART_S
        if paid_until_s - now_s > SEARCHES_AT_ONCE * SEARCHES_APART_S:
            return False
        self._paid_until_s[sender] = paid_until_s
        return True
