"""Which messages were sent and which arrived, for any number of them in a few bytes each."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

SENT, TAKEN_IN, RECEIVED, ODD = 1, 2, 4, 8
"""What a message's records say: it was sent; it arrived and took effect; it arrived; something is wrong."""

_NUMBERED = re.compile(r"(.*?)([1-9][0-9]{0,8})")
_GAP = 65_536
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
    """

    def __init__(self) -> None:
        self.resends = 0
        self.duplicates = 0
        self._names: list[str] = []
        self._index: dict[str, int] = {}
        self._digests = array("q")
        self._states = bytearray()
        self._ends = array("L")
        self._series: dict[tuple[str, str], _Series] = {}
        self._counting: dict[str, array[int]] = {}
        self._numbers_of_ends: dict[tuple[str, str], int] = {}
        self._others: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._states)

    def find(self, sender: str, message_id: bytes, number: int) -> int:
        """Place of a message; -1 if it is not known.

        Args:
            sender: bare JID.
            message_id: its id, ASCII.
            number: the id, if it is a number that counts; else 0.
        """
        series = self._counting.get(sender)
        if series is not None and 0 < number < len(series):
            place = series[number] - 1
            if place >= 0:
                return place
        return self._others.get((sender, message_id.decode()), -1) if self._others or not number else -1

    def digest(self, place: int) -> int:
        """Digest of the words of the message at a place."""
        return self._digests[place]

    def add(self, sender: str, recipient: str, message_id: bytes, digest: int) -> int:
        """Place of a message that is not known yet."""
        return self._place(sender, recipient, message_id.decode(), digest)

    def sent(self, sender: str, recipient: str, message_id: str, digest: int, *, again: bool) -> None:
        """Count a record of sending; ``again`` if it is marked as a repetition."""
        self.note_sent(self._place(sender, recipient, message_id, digest), again=again)

    def note_sent(self, place: int, *, again: bool) -> None:
        """Count a record of sending the message at a place."""
        if self._states[place] & SENT:
            self.resends += 1
            if not again:
                self._states[place] |= ODD
        self._states[place] |= SENT

    def received(self, sender: str, recipient: str, message_id: str, digest: int, *, again: bool) -> None:
        """Count a record of receipt; ``again`` if it is marked as one without further effect."""
        self.note_received(self._place(sender, recipient, message_id, digest), again=again)

    def note_received(self, place: int, *, again: bool) -> None:
        """Count a record of receiving the message at a place."""
        state = self._states[place]
        if again:
            self.duplicates += 1
        elif state & TAKEN_IN:
            state |= ODD
        else:
            state |= TAKEN_IN
        self._states[place] = state | RECEIVED

    def odd(self, sender: str, recipient: str, message_id: str, digest: int) -> None:
        """Note that something is wrong with a message."""
        self.note_odd(self._place(sender, recipient, message_id, digest))

    def note_odd(self, place: int) -> None:
        """Note that something is wrong with the message at a place."""
        self._states[place] |= ODD

    def ends(self) -> Iterator[tuple[str, str, int]]:
        """Sender, recipient and state of every message."""
        for place, state in enumerate(self._states):
            sender, recipient = divmod(self._ends[place], 1 << 24)
            yield self._names[sender], self._names[recipient], state

    def keys(self, places: set[int]) -> set[tuple[str, str]]:
        """Sender and id of the messages at these places of ``ends``."""
        return set(self.named(places).values())

    def named(self, places: set[int]) -> dict[int, tuple[str, str]]:
        """Sender and id of the messages at these places of ``ends``, by place."""
        found = {place: key for key, place in self._others.items() if place in places}
        for (sender, prefix), series in self._series.items():
            for number, place in enumerate(series.places):
                if place and place - 1 in places:
                    found[place - 1] = (sender, f"{prefix}{number}")
        return found

    def _place(self, sender: str, recipient: str, message_id: str, digest: int) -> int:
        new = len(self._states)
        place = self._place_of(sender, message_id, new)
        if place == new:
            self._begin(sender, recipient, digest)
        elif self._digests[place] != digest:
            self._states[place] |= ODD
        return place

    def _begin(self, sender: str, recipient: str, digest: int) -> None:
        self._digests.append(digest)
        self._states.append(0)
        ends = self._numbers_of_ends.get((sender, recipient))
        if ends is None:
            ends = (self._name(sender) << 24) + self._name(recipient)
            self._numbers_of_ends[sender, recipient] = ends
        self._ends.append(ends)

    def _place_of(self, sender: str, message_id: str, new: int) -> int:
        prefix, number = _prefix_and_number(message_id)
        if number:
            return self._numbered(sender, prefix, number, new)
        return self._others.setdefault((sender, message_id), new)

    def _numbered(self, sender: str, prefix: str, number: int, new: int) -> int:
        series = self._series.get((sender, prefix))
        if series is None:
            series = self._series[sender, prefix] = _Series()
            if not prefix:
                self._counting[sender] = series.places
        if number < len(series.places) + _GAP:
            return series.place(number, new)
        return self._others.setdefault((sender, f"{prefix}{number}"), new)

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
