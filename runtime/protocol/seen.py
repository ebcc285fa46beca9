"""Which messages of one sender have come, in little memory that does not grow with the days.

Agents number their messages, so that one bit says whether a number has come. The last ``NUMBERS`` numbers are
told apart, and what is older counts as seen: no number comes for the first time so late. Of ids of any other
form, as those of a meter in another language may be, the latest are remembered as they are.
"""

from __future__ import annotations

import re
from collections import OrderedDict

NUMBERS = 1 << 16
"""How many numbers back ids are told apart, in 8 KiB at most. Who speaks to 300 others counts so far in a
hundred slots, and repeats no message longer than it waits in a few of them."""

NAMES = 1024
"""How many ids without a number are remembered; a sender has far fewer under way at once."""

LIVES = 8
"""The numbers of so many lives of a sender are remembered: an attached meter counts anew, after a prefix."""

_NUMBERED = re.compile(r"((?:[0-9a-f]{8}-)?)([1-9][0-9]{0,14})")
_MASK = (1 << NUMBERS) - 1


class _Numbers:
    """The numbers of one life: bit ``k`` says whether ``latest - k`` has come."""

    __slots__ = ("bits", "latest")

    def __init__(self) -> None:
        self.latest = 0
        self.bits = 0

    def __contains__(self, number: int) -> bool:
        back = self.latest - number
        return back >= NUMBERS or (back >= 0 and bool(self.bits >> back & 1))

    def add(self, number: int) -> None:
        ahead = number - self.latest
        if ahead <= 0:
            self.bits |= 1 << -ahead
            return
        self.bits = (self.bits << ahead) & _MASK | 1 if ahead < NUMBERS else 1
        self.latest = number


class SeenIds:
    """Ids of the messages of one sender that have come."""

    __slots__ = ("_lives", "_names")

    def __init__(self) -> None:
        """None has."""
        self._lives: OrderedDict[str, _Numbers] = OrderedDict()
        self._names: dict[str, None] = {}

    def __contains__(self, message_id: str) -> bool:
        """Whether a message has come, or is older than those that are told apart."""
        numbered = _NUMBERED.fullmatch(message_id)
        if numbered is None:
            return message_id in self._names
        life = self._lives.get(numbered[1])
        return life is not None and int(numbered[2]) in life

    def see(self, message_id: str) -> bool:
        """Note that a message came; whether it is the first of its id."""
        numbered = _NUMBERED.fullmatch(message_id)
        if numbered is None:
            if message_id in self._names:
                return False
            self._names[message_id] = None
            while len(self._names) > NAMES:
                del self._names[next(iter(self._names))]
            return True
        prefix, number = numbered[1], int(numbered[2])
        life = self._lives.get(prefix)
        if life is None:
            life = self._lives[prefix] = _Numbers()
            while len(self._lives) > LIVES:
                self._lives.popitem(last=False)
        elif number in life:
            return False
        self._lives.move_to_end(prefix)
        life.add(number)
        return True
