"""Which messages were sent and which arrived, for any number of them in a few bytes each."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

SENT, TAKEN_IN, RECEIVED, ODD = 1, 2, 4, 8
"""What a message's records say: it was sent; it arrived and took effect; it arrived; something is wrong."""
ALLOWED = 16
"""The words that were counted first are known to be such as this sender may send to this recipient."""
_RECORDED = SENT | TAKEN_IN | RECEIVED | ODD

_NUMBERED = re.compile(r"(.*?)([1-9][0-9]{0,8})")
GAP = 65_536
"""Numbers this far beyond those before are not taken for counting: they are kept by their whole id."""


@dataclass(slots=True)
class _Series:
    """Messages of one sender whose ids count up; the place of each in the tally, by its number."""

    places: array[int] = field(default_factory=lambda: array("Q"))

    def place(self, number: int, new: int) -> int:
        places = self.places
        if number >= len(places):
            places.extend([0] * (number + 1 - len(places)))
        if not places[number]:
            places[number] = new + 1
        return places[number] - 1


class Tally:
    """Counts the records of each message, told apart by sender and id.

    A message takes about 25 bytes: agents number their messages, so what is known of them fits arrays.

    Attributes:
        resends: records of sending a message again.
        duplicates: records of receiving one again.
        states: what each message's records say, by its place.
        digests: digest of each message's words as they were counted first, by its place.
        others: places of messages whose ids do not count, by sender and id.
    """

    def __init__(self) -> None:
        self.resends = 0
        self.duplicates = 0
        self.states = bytearray()
        self.digests = array("q")
        self._names: list[str] = []
        self._index: dict[str, int] = {}
        self._ends = array("L")
        self._series: dict[tuple[str, str], _Series] = {}
        self._numbers_of_ends: dict[tuple[str, str], int] = {}
        self.others: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self.states)

    def find(self, sender: str, message_id: bytes, number: int) -> int:
        """Place of a message; -1 if it is not known.

        Args:
            sender: bare JID.
            message_id: its id, ASCII.
            number: the id, if it is a number that counts; else 0.
        """
        prefix, text = "", message_id.decode()
        if not number:
            prefix, number = _prefix_and_number(text)
        series = self._series.get((sender, prefix))
        if series is not None and 0 < number < len(series.places):
            place = series.places[number] - 1
            if place >= 0:
                return place
        return self.others.get((sender, text), -1)

    def digest(self, place: int) -> int:
        """Digest of the words of the message at a place."""
        return self.digests[place]

    def counting(self, sender: str) -> array[int]:
        """Of a sender's messages whose ids are numbers, the place plus 1 by number; 0 where there is none.

        It grows as messages are added.
        """
        return self._series.setdefault((sender, ""), _Series()).places

    def add(self, sender: str, recipient: str, message_id: bytes, digest: int) -> int:
        """Place of a message that is not known yet."""
        return self._place(sender, recipient, message_id.decode(), digest)

    def pair(self, sender: str, recipient: str) -> int:
        """Number of a sender and a recipient, as ``add_counting`` takes it."""
        ends = self._numbers_of_ends.get((sender, recipient))
        if ends is None:
            ends = (self._name(sender) << 24) + self._name(recipient)
            self._numbers_of_ends[sender, recipient] = ends
        return ends

    def add_counting(self, numbers: array[int], number: int, pair: int, digest: int) -> int:
        """Place of a message that is not known yet, and whose id is a number.

        Args:
            numbers: of its sender, from ``counting``.
            number: its id, less than ``GAP`` beyond those known.
            pair: its ends, from ``pair``.
            digest: of its words.
        """
        new = len(self.states)
        if number >= len(numbers):
            numbers.extend([0] * (number + 1 - len(numbers)))
        numbers[number] = new + 1
        self.digests.append(digest)
        self.states.append(0)
        self._ends.append(pair)
        return new

    def sent(self, sender: str, recipient: str, message_id: str, digest: int, *, again: bool) -> None:
        """Count a record of sending; ``again`` if it is marked as a repetition."""
        self.note_sent(self._place(sender, recipient, message_id, digest), again=again)

    def note_sent(self, place: int, *, again: bool) -> None:
        """Count a record of sending the message at a place."""
        if self.states[place] & SENT:
            self.resends += 1
            if not again:
                self.states[place] |= ODD
        self.states[place] |= SENT

    def received(self, sender: str, recipient: str, message_id: str, digest: int, *, again: bool) -> None:
        """Count a record of receipt; ``again`` if it is marked as one without further effect."""
        self.note_received(self._place(sender, recipient, message_id, digest), again=again)

    def note_received(self, place: int, *, again: bool) -> None:
        """Count a record of receiving the message at a place."""
        state = self.states[place]
        if again:
            self.duplicates += 1
        elif state & TAKEN_IN:
            state |= ODD
        else:
            state |= TAKEN_IN
        self.states[place] = state | RECEIVED

    def odd(self, sender: str, recipient: str, message_id: str, digest: int) -> None:
        """Note that something is wrong with a message."""
        self.note_odd(self._place(sender, recipient, message_id, digest))

    def note_odd(self, place: int) -> None:
        """Note that something is wrong with the message at a place."""
        self.states[place] |= ODD

    def ends(self) -> Iterator[tuple[str, str, int]]:
        """Sender, recipient and state of every message."""
        for place, state in enumerate(self.states):
            yield *self._pair(self._ends[place]), state & _RECORDED

    def counted_ends(self) -> Counter[tuple[str, str, int]]:
        """How many messages have which sender, recipient and state."""
        counted: Counter[tuple[str, str, int]] = Counter()
        for (ends, state), count in Counter(zip(self._ends, self.states, strict=True)).items():
            counted[*self._pair(ends), state & _RECORDED] += count
        return counted

    def keys(self, places: set[int]) -> set[tuple[str, str]]:
        """Sender and id of the messages at these places of ``ends``."""
        return set(self.named(places).values())

    def named(self, places: set[int]) -> dict[int, tuple[str, str]]:
        """Sender and id of the messages at these places of ``ends``, by place."""
        found = {place: key for key, place in self.others.items() if place in places}
        for (sender, prefix), series in self._series.items():
            for number, place in enumerate(series.places):
                if place and place - 1 in places:
                    found[place - 1] = (sender, f"{prefix}{number}")
        return found

    def _place(self, sender: str, recipient: str, message_id: str, digest: int) -> int:
        new = len(self.states)
        place = self._place_of(sender, message_id, new)
        if place == new:
            self._begin(sender, recipient, digest)
        elif self.digests[place] != digest:
            self.states[place] |= ODD
        return place

    def _begin(self, sender: str, recipient: str, digest: int) -> None:
        self.digests.append(digest)
        self.states.append(0)
        self._ends.append(self.pair(sender, recipient))

    def _place_of(self, sender: str, message_id: str, new: int) -> int:
        prefix, number = _prefix_and_number(message_id)
        if number and (sender, message_id) not in self.others:
            return self._numbered(sender, prefix, number, new)
        return self.others.setdefault((sender, message_id), new)

    def _numbered(self, sender: str, prefix: str, number: int, new: int) -> int:
        series = self._series.get((sender, prefix))
        if series is None:
            series = self._series[sender, prefix] = _Series()
        if number < len(series.places) + GAP:
            return series.place(number, new)
        return self.others.setdefault((sender, f"{prefix}{number}"), new)

    def _pair(self, ends: int) -> tuple[str, str]:
        sender, recipient = divmod(ends, 1 << 24)
        return self._names[sender], self._names[recipient]

    def _name(self, jid: str) -> int:
        index = self._index.get(jid)
        if index is None:
            index = self._index[jid] = len(self._names)
            self._names.append(jid)
        return index


def _prefix_and_number(message_id: str) -> tuple[str, int]:
    """What an id counts with; 0 for one that does not count."""
    if message_id.isdecimal() and message_id.isascii() and len(message_id) < 10 and message_id[0] != "0":
        return "", int(message_id)
    counted = _NUMBERED.fullmatch(message_id)
    return ("", 0) if counted is None else (counted[1], int(counted[2]))
