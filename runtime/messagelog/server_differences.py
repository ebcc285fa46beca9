"""Messages that agents' logs and the server's record tell differently: looked at one by one, and named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from runtime.messagelog.record import instant_text
from runtime.messagelog.server_record import WORDS, CarriedMessage, Words


class Difference(StrEnum):
    """How logs and the server's record can differ."""

    RECORD = "server-record"
    OTHER_SENDER = "other-sender"
    NOT_CARRIED = "not-carried"
    NOT_LOGGED = "carried-not-logged"
    ALTERED = "altered"
    MORE_OFTEN = "more-often"
    OTHER_ORDER = "other-order"


@dataclass(frozen=True, slots=True)
class Found:
    """One difference.

    Attributes:
        kind: what sort of.
        text: what was found, for a person, naming the message, log and line.
        at: when the message was first seen, as records carry it; empty for the record itself.
    """

    kind: Difference
    text: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """A message as a log has it.

    Attributes:
        agent: whose log.
        seq: place in that log.
        at: when it was written there.
        is_out: whether it was sent.
        words: as in the server's record.
    """

    agent: str
    seq: int
    at: str
    is_out: bool
    words: Words


Key = tuple[str, str]
"""Sender (bare JID) and id of a message."""


@dataclass(slots=True)
class _Seen:
    carried: list[CarriedMessage] = field(default_factory=list)
    sent: list[Logged] = field(default_factory=list)
    received: list[Logged] = field(default_factory=list)

    @property
    def at(self) -> str:
        if self.carried:
            return _instant(self.carried[0])
        return (self.sent or self.received)[0].at

    @property
    def words(self) -> Words:
        return (self.sent or self.received)[0].words if not self.carried else self.carried[0].words


class Differences:
    """Names what differs, of messages of which it is known that something does."""

    def __init__(self, whole: Callable[[str], bool]) -> None:
        """Judge messages.

        Args:
            whole: whether a JID is of an agent whose whole log is here.
        """
        self._whole = whole
        self._seen: dict[Key, _Seen] = {}

    def note_carried(self, message: CarriedMessage) -> None:
        """Take what the server carried."""
        self._of((message.sender, message.message_id)).carried.append(message)

    def note_logged(self, key: Key, logged: Logged) -> None:
        """Take what a log has."""
        seen = self._of(key)
        (seen.sent if logged.is_out else seen.received).append(logged)

    def found(self, out_of_order: Mapping[Key, str]) -> list[Found]:
        """All differences, in the order of time.

        Args:
            out_of_order: messages that are in a log in another order than the server carried them: which log.
        """
        found: list[Found] = []
        forged = self._forged()
        for key, seen in self._seen.items():
            name = _name(key, seen)
            if key in forged:
                if (text := forged[key]) is not None:
                    found.append(Found(Difference.OTHER_SENDER, f"{name}: {text}", seen.at))
                continue
            found += [Found(kind, f"{name}: {text}", seen.at) for kind, text in self._differences(key, seen)]
            if key in out_of_order:
                text = f"is in the log of {out_of_order[key]} before one that the server carried earlier"
                found.append(Found(Difference.OTHER_ORDER, f"{name}: {text}", seen.at))
        return sorted(found, key=lambda one: one.at)

    def _of(self, key: Key) -> _Seen:
        return self._seen.setdefault(key, _Seen())

    def _forged(self) -> dict[Key, str | None]:
        """Messages in logs that the server carried, word for word, from another account.

        Of the two, the one in the logs is told; the other, that is in the record alone, is the same.
        """
        unlogged = {
            (key[1], seen.carried[0].words): key
            for key, seen in self._seen.items()
            if seen.carried and not seen.sent
        }
        forged: dict[Key, str | None] = {}
        for key, seen in self._seen.items():
            true = None if seen.carried else unlogged.get((key[1], seen.words))
            if true is None or true == key:
                continue
            carried = self._seen[true].carried[0]
            logs = ", ".join(dict.fromkeys(one.agent for one in (*seen.sent, *seen.received)))
            forged[key] = (
                f"so it is in the log of {logs}; the server carried it from {true[0]}, which was logged in "
                f"({carried.where})"
            )
            if not self._seen[true].received:
                forged[true] = None
        return forged

    def _differences(self, key: Key, seen: _Seen) -> Iterable[tuple[Difference, str]]:
        times, logged = len(seen.carried), [*seen.sent, *seen.received]
        if not times:
            first = logged[0]
            where = f"record {first.seq} of {first.agent} has it as {'sent' if first.is_out else 'received'}"
            yield Difference.NOT_CARRIED, f"{where}, the server never carried it"
            return
        carried = seen.carried[0]
        for missing, jid in ((seen.sent, key[0]), (seen.received, carried.recipient)):
            if not missing and self._whole(jid):
                text = f"the server carried it ({carried.where}), the log of {jid} does not have it"
                yield Difference.NOT_LOGGED, text
        if seen.sent and times > len(seen.sent) and self._whole(key[0]):
            last = seen.carried[-1].where
            text = f"the server carried it {times} times (last: {last}), {key[0]} logged {len(seen.sent)}"
            yield Difference.MORE_OFTEN, text
        if len(seen.received) > times:
            text = f"{seen.received[0].agent} logged it {len(seen.received)} times as received, "
            text += f"the server carried it {times} times"
            yield Difference.MORE_OFTEN, text
        for one in logged:
            if names := _differing(one.words, carried.words):
                text = f"record {one.seq} of {one.agent} differs in {names} from what the server carried "
                text += f"({carried.where})"
                yield Difference.ALTERED, text
        for other in seen.carried[1:]:
            if names := _differing(other.words, carried.words):
                text = f"the server carried it again with another {names} ({other.where})"
                yield Difference.ALTERED, text


def _differing(one: Words, other: Words) -> str:
    return ", ".join(name for name, this, that in zip(WORDS, one, other, strict=True) if this != that)


def _name(key: Key, seen: _Seen) -> str:
    words = seen.words
    return f"{words[2]} {key[1]!r} of {seen.at} from {key[0]} to {words[0]}"


def _instant(message: CarriedMessage) -> str:
    return instant_text(datetime.fromtimestamp(message.time_unix_s, UTC))
