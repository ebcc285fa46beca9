"""What an account does whose place at the server another session of the same account takes.

That is a thief with its secret, or the same agent started twice. The account's own agent comes back again and
again, less and less often, and says so loudly each time: it is absent, which the market has rules for, until
somebody ends the other or changes the secret, whereupon the server puts the thief out.

Of what a person attaches there may be two by mistake, which would take turns for ever: it comes back a number
of times in a row. The first to have done so gives up, and says why; the other then keeps the place.
"""

from __future__ import annotations

import logging
import math
import random

from runtime import operations_log

FIRST_PAUSE_S, PAUSE_LIMIT_S = 1.0, 30.0
"""Pause after the place was taken: doubles each time from the first to the limit, times a random 0.5 to 1."""

FORGOTTEN_AFTER_S = 4 * PAUSE_LIMIT_S
"""A connection that held this long makes the next pause the first again. It is longer than any pause, or two
agents of one account would take turns at the pace of the first for ever."""

EVENT = "place-taken"
"""Name of the alarm in the operations log."""

BESIDE_EVENT = "session-beside"
"""Name of the alarm where a server lets an account have several sessions, and another is there."""


class TakenPlace:
    """How often an account's place was taken of late.

    Attributes:
        times: since a connection last held long.
    """

    def __init__(self, most_returns: float = math.inf) -> None:
        """Begin with none.

        Args:
            most_returns: how many times in a row the account comes back; with 0 it gives way without a word.
        """
        self.times = 0
        self._most_returns = most_returns

    def taken(self, account: str, reason: str, held_s: float) -> float | None:
        """Take note and raise the alarm.

        Args:
            account: whose place it was.
            reason: what the server's word meant.
            held_s: how long the connection had held [s].

        Returns:
            How long to wait before the next attempt [s]; None if the account gives up.
        """
        if self._most_returns == 0:
            return None
        self.times = 1 if held_s > FORGOTTEN_AFTER_S else self.times + 1
        if self.times > self._most_returns:
            return None
        # The exponent is bounded, since a thief may stay for days.
        longest_s = min(PAUSE_LIMIT_S, FIRST_PAUSE_S * 2.0 ** min(self.times - 1, 16))
        pause_s = random.uniform(0.5, 1.0) * longest_s
        operations_log.say(
            EVENT,
            account,
            level=logging.ERROR,
            reason=f"{reason}: it was started twice, or its secret was stolen (`peerwatt secrets rotate`)",
            times=self.times,
            held_s=round(held_s, 3),
            next_attempt_s=round(pause_s, 3),
        )
        return pause_s

    def why_over(self, reason: str) -> str:
        """What to say once the account has given up.

        Args:
            reason: what the server's word meant.
        """
        if self._most_returns == 0:
            return reason
        return (
            f"{reason}, {self.times} times in a row: it was attached twice, or its secret was stolen "
            "(`peerwatt secrets rotate`)"
        )
