"""How much of everything there was in a run, counted from its logs' lines as they come."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from runtime.messagelog.canonical import HEAD
from runtime.messagelog.record import EVENT_CONTINUED, NOTE_DUPLICATE, NOTE_RESENT
from runtime.messaging.feed import COMPUTED
from runtime.protocol.inspection import RECONNECTED
from runtime.rundir import COORDINATORS

METERED = "metered"
"""Quality of a slot without a gap."""

_NOTE = re.compile(rb'","note":"([^"\\]*)","prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}$')
_EVENT = b'"kind":"event"'
_PLACE = re.compile(rb'\\"session\\":\s*(\d+)(?:.*?\\"(round|slot)\\":\s*(\d+))?')
_QUALITY = re.compile(rb'\\"quality\\":\s*\\"([a-z-]+)\\"')
_TYPE = re.compile(rb'\\"type\\":\s*\\"([a-z-]+)\\"')

_COUNTED = frozenset(
    {b"price-signal", b"declaration-request", b"bargain-call", b"bill-line", b"session-closed"}
)


@dataclass(slots=True)
class Seconds:
    """Durations added up.

    Attributes:
        count: how many.
        total_s: their sum [s].
        longest_s: the longest [s].
    """

    count: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Add one [s]."""
        self.count += 1
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)


class RunCounts:
    """Counts of a run after the lines fed so far; repeated messages count as repetitions alone.

    Attributes:
        messages: by agent, performative and direction (``in`` or ``out``), as the agent's log has them.
        repeated: messages an agent sent once more, by agent.
        duplicates: messages that reached an agent once more, by agent.
        restarts: how often an agent was started again.
        reconnects: how often an agent's connection came back.
        computed: planning and other computations of an agent.
        rounds: rounds that coordinators opened.
        sessions_closed: sessions of which a first member was told its bill.
        deliveries: slots that a member delivered, by member and how they were come by.
        unreadable: lines that are no record.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.messages: Counter[tuple[str, str, str]] = Counter()
        self.repeated: Counter[str] = Counter()
        self.duplicates: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.reconnects: Counter[str] = Counter()
        self.computed: defaultdict[str, Seconds] = defaultdict(Seconds)
        self.deliveries: Counter[tuple[str, str]] = Counter()
        self.unreadable = 0
        self._rounds: set[tuple[str, int, int]] = set()
        self._settled: set[tuple[int, int]] = set()
        self._closed: set[int] = set()

    @property
    def rounds(self) -> int:
        """Rounds that coordinators opened."""
        return len(self._rounds)

    @property
    def slots_settled(self) -> int:
        """Slots of which a first member got its bill line."""
        return len(self._settled)

    @property
    def sessions_closed(self) -> int:
        """Sessions of which a first member was told its bill."""
        return len(self._closed)

    def feed(self, agent: str, line: bytes) -> None:
        """Take a log's line.

        Args:
            agent: whose log it is in.
            line: as it was written, without its end.
        """
        if _EVENT in line[:90]:
            self._event(agent, line)
            return
        head = HEAD.match(line)
        if head is None:
            self._not_plain(agent, line)
            return
        kind, sender, performative = (head[number].decode() for number in (2, 3, 5))
        noted = _NOTE.search(line, max(0, len(line) - 400))
        self._message(agent, kind, sender, performative, noted[1].decode() if noted else "", line)

    def _not_plain(self, agent: str, line: bytes) -> None:
        """A message with signs outside its body that are escaped."""
        try:
            fields = json.loads(line)
            known = fields["kind"], fields["from"], fields["performative"], fields.get("note") or ""
        except (ValueError, LookupError, TypeError):
            self.unreadable += 1
            return
        self._message(agent, *known, line)

    def _message(self, agent: str, kind: str, sender: str, performative: str, note: str, line: bytes) -> None:
        if note.startswith(NOTE_RESENT):
            self.repeated[agent] += 1
            return
        if note == NOTE_DUPLICATE:
            self.duplicates[agent] += 1
            return
        self.messages[agent, performative, kind] += 1
        if kind != "out":
            return
        speaker = sender.partition("@")[0]
        body_type = _TYPE.search(line)
        name = body_type[1] if body_type else b""
        if speaker in COORDINATORS:
            self._coordinator_said(speaker, name, line)
        elif name == b"delivery" and (quality := _QUALITY.search(line)):
            self.deliveries[speaker, quality[1].decode()] += 1

    def _coordinator_said(self, speaker: str, name: bytes, line: bytes) -> None:
        if name not in (
            b"price-signal",
            b"declaration-request",
            b"bargain-call",
            b"bill-line",
            b"session-closed",
        ):
            return
        place = _PLACE.search(line)
        if place is None:
            return
        session = int(place[1])
        if name == b"session-closed":
            self._closed.add(session)
        elif place[2] == b"slot":
            self._settled.add((session, int(place[3])))
        elif place[2] == b"round":
            self._rounds.add((speaker, session, int(place[3])))

    def _event(self, agent: str, line: bytes) -> None:
        try:
            fields = json.loads(line)
            name, data = fields["name"], fields["data"]
            if name == EVENT_CONTINUED:
                self.restarts[agent] += 1
            elif name == RECONNECTED:
                self.reconnects[agent] += 1
            elif name == COMPUTED and "seconds" in data:
                self.computed[agent].add(float(data["seconds"]))
        except (ValueError, LookupError, TypeError):
            self.unreadable += 1
