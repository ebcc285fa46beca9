"""Agents' logs held against the server's own record of what it carried.

An agent logs a message before it sends it and when it gets it. So the server carried a message at most as
often as its sender logged it, and at least as often as its recipient did; repetitions that went down with a
connection are in the sender's log alone.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.messagelog.audit import LogPass
from runtime.messagelog.chain import complete_lines
from runtime.messagelog.record import instant_text
from runtime.messagelog.server_differences import Difference, Differences, Found, Key, Logged
from runtime.messagelog.server_record import CarriedMessage, ServerRecord, Words, cut
from runtime.messagelog.tally import Tally
from runtime.messaging.feed import MALFORMED
from runtime.protocol.floods import FLOODED, flooded_by
from runtime.rundir import INSPECTOR
from runtime.wording import counted

MOST_NAMED = 1000
"""So many messages that something is wrong with are looked at one by one."""

_MOST_COUNTED = 255
_DIFFERS, _BEFORE = 1, 2
"""What is told of it differs; a log has it from before the record begins."""


@dataclass(slots=True)
class ServerCheck:
    """What holding logs against the server's record showed.

    Attributes:
        record: the record, as it was read.
        findings: what differs, the record's own damage first, then in the order of time.
        unnamed: messages that differ beyond those among the findings.
        counts: messages, carryings (with repetitions), repeated (carryings beyond each message's first),
            unheard (carryings that the recipient's log has no receipt of), flooded (of which recipients
            logged the number alone), with_strangers (messages with an account whose log is not here),
            strangers_only (between two of these), inspection (the inspector's questions and answers, which no
            log has), errors (bounces), before_record (in logs from before the record begins).
        strangers: accounts whose logs are not here, and in how many messages.
    """

    record: ServerRecord
    findings: list[Found] = field(default_factory=list)
    unnamed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    strangers: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        names = (
            "messages", "carryings", "repeated", "unheard", "flooded", "with_strangers",
            "strangers_only", "inspection", "errors", "before_record",
        )  # fmt: skip
        return {
            "record": str(self.record.path),
            "files": self.record.files,
            "openings": self.record.openings,
            "torn_lines": self.record.torn_lines,
            "lacks_beginning": self.record.lacks_beginning,
            **{name: self.counts[name] for name in names},
            "strangers": dict(self.strangers.most_common()),
            "findings": [f"{one.kind}: {one.text}" for one in self.findings],
            "more_findings": self.unnamed,
        }

    def unchecked(self) -> list[str]:
        """What could not be checked, and why."""
        texts = []
        if number := self.counts["strangers_only"]:
            texts.append(
                f"{counted(number, 'message')} that the server carried between accounts whose logs are not "
                "here"
            )
        if self.record.lacks_beginning:
            texts.append(
                f"{counted(self.counts['before_record'], 'message')} from before the server's record "
                "begins: its older "
                "files are not here"
            )
        return texts


def check_against_server(record_path: Path, logs: Sequence[LogPass]) -> ServerCheck:
    """Hold logs against the server's record; about 40 bytes of memory for each message.

    Args:
        record_path: the record's youngest file.
        logs: the logs, each read once for its chain; one that is not whole is not blamed for what it lacks.

    Raises:
        InputError: there is no record, or it cannot be read.
        LogError: a log cannot be read.
    """
    return _Comparison(record_path, logs).result()


class _Comparison:
    def __init__(self, record_path: Path, logs: Sequence[LogPass]) -> None:
        self._logs = logs
        self._agents = {log.agent: log.whole for log in logs}
        self._check = ServerCheck(ServerRecord(record_path))
        self._tally = Tally()
        self._carried, self._sent, self._received = bytearray(), bytearray(), bytearray()
        self._flags = bytearray()
        self._sent_at, self._received_at = array("I"), array("I")
        self._plain: Counter[Key] = Counter()  # what is no message of the market, by recipient and sender
        self._malformed: Counter[Key] = Counter()  # what recipients logged as such
        self._unlogged: list[Found] = []

    def result(self) -> ServerCheck:
        check = self._check
        for message in check.record.messages():
            self._take_carried(message)
        begins = check.record.begins_unix_s if check.record.lacks_beginning else None
        begins_at = None if begins is None else instant_text(datetime.fromtimestamp(begins, UTC))
        position = 0
        for log in self._logs:
            for fields in _records(log):
                position += 1
                self._take_logged(log.agent, fields, position, begins_at)
        wrong, more, out_of_order = self._wrong_places()
        check.findings = [Found(Difference.RECORD, text) for text in check.record.damaged]
        check.findings += sorted(self._unlogged + self._named(wrong, out_of_order), key=lambda one: one.at)
        check.unnamed += more
        return check

    def _owner(self, jid: str) -> str | None:
        return next((name for name in (jid, jid.partition("@")[0]) if name in self._agents), None)

    def _whole(self, jid: str) -> bool:
        owner = self._owner(jid)
        return owner is not None and self._agents[owner]

    # -- reading ---------------------------------------------------------------------------------------

    def _take_carried(self, message: CarriedMessage) -> None:
        counts = self._check.counts
        if message.is_error:
            counts["errors"] += 1
        elif _with_inspector(message.sender, message.recipient):
            counts["inspection"] += 1
        elif not message.message_id:
            self._take_plain(message)
        else:
            counts["carryings"] += 1
            place = self._place(message.sender, message.recipient, message.message_id, message.words)
            self._carried[place] = min(_MOST_COUNTED, self._carried[place] + 1)

    def _take_plain(self, message: CarriedMessage) -> None:
        self._plain[message.recipient, message.sender] += 1
        if self._owner(message.sender) is None:
            self._check.counts["with_strangers"] += 1
            self._check.strangers[message.sender] += 1
        elif len(self._unlogged) >= MOST_NAMED:
            self._check.unnamed += 1
        else:
            at = instant_text(datetime.fromtimestamp(message.time_unix_s, UTC))
            text = f"a message without an id, of {at} from {message.sender} to {message.recipient}: "
            text += f"the server carried it ({message.where}), agents log all that they send"
            self._unlogged.append(Found(Difference.NOT_LOGGED, text, at))

    def _take_logged(self, agent: str, fields: dict[str, Any], position: int, begins_at: str | None) -> None:
        if fields["kind"] == "event":
            if fields["name"] == MALFORMED:
                self._malformed[agent, str(fields["data"].get("sender"))] += 1
            elif fields["name"] == FLOODED:
                by, messages = flooded_by(fields["data"])
                self._malformed[agent, by] += messages
                self._check.counts["flooded"] += messages
            return
        sender, recipient = fields["from"], fields["to"]
        if _with_inspector(sender, recipient):
            return
        place = self._place(sender, recipient, fields["id"], words_of(fields))
        out = fields["kind"] == "out"
        counts, positions = (self._sent, self._sent_at) if out else (self._received, self._received_at)
        counts[place] = min(_MOST_COUNTED, counts[place] + 1)
        positions[place] = position
        if begins_at is not None and fields["at"] < begins_at:
            self._flags[place] |= _BEFORE

    def _place(self, sender: str, recipient: str, message_id: str, words: Words) -> int:
        digest = hash(words)
        known = len(self._tally)
        place = self._tally.add(sender, recipient, message_id.encode(), digest)
        if place == known:
            for counted in (self._carried, self._sent, self._received, self._flags):
                counted.append(0)
            self._sent_at.append(0)
            self._received_at.append(0)
        elif self._tally.digest(place) != digest:
            self._flags[place] |= _DIFFERS
        return place

    # -- judging ---------------------------------------------------------------------------------------

    def _wrong_places(self) -> tuple[set[int], int, dict[int, str]]:
        """Places of messages to be looked at, how many more there are, and which are in another order."""
        counts, wrong, more = self._check.counts, set[int](), 0
        order = _Order()
        for place, (sender, recipient, _) in enumerate(self._tally.ends()):
            carried, sent, received = self._carried[place], self._sent[place], self._received[place]
            self._count(sender, recipient, carried, received)
            if not carried and self._flags[place] & _BEFORE:
                counts["before_record"] += 1
                continue
            differs = self._is_wrong(place, sender, recipient)
            if carried == 1:
                at = (
                    self._sent_at[place] if sent == 1 else 0,
                    self._received_at[place] if received == 1 else 0,
                )
                differs |= order.is_broken(place, sender, recipient, at)
            if differs and len(wrong) < MOST_NAMED:
                wrong.add(place)
            elif differs:
                more += 1
        return wrong, more, order.broken

    def _is_wrong(self, place: int, sender: str, recipient: str) -> bool:
        carried, sent, received = self._carried[place], self._sent[place], self._received[place]
        before = self._flags[place] & _BEFORE
        if self._flags[place] & _DIFFERS or not carried:
            return True
        if not received and self._whole(recipient):
            if not self._is_malformed(recipient, sender):
                return True
            self._check.counts["unheard"] -= carried
        if self._whole(sender) and (not sent or (carried > sent and not before)):
            return True
        return received > carried and carried < _MOST_COUNTED and not before

    def _is_malformed(self, recipient: str, sender: str) -> bool:
        """Whether the recipient logged that it could not read something of this sender, or did not listen."""
        key = (self._owner(recipient) or recipient, sender)
        if self._malformed[key] <= self._plain[recipient, sender]:
            return False
        self._malformed[key] -= 1
        return True

    def _count(self, sender: str, recipient: str, carried: int, received: int) -> None:
        counts = self._check.counts
        if not carried:
            return
        counts["messages"] += 1
        counts["repeated"] += carried - 1
        strangers = {jid for jid in (sender, recipient) if self._owner(jid) is None}
        if recipient not in strangers:
            counts["unheard"] += max(0, carried - received)
        if strangers:
            counts["with_strangers"] += 1
            self._check.strangers.update(strangers)
            counts["strangers_only"] += strangers == {sender, recipient}

    def _named(self, wrong: set[int], out_of_order: dict[int, str]) -> list[Found]:
        if not wrong:
            return []
        names = self._tally.named(wrong)
        keys = set(names.values())
        differences = Differences(self._whole)
        for message in ServerRecord(self._check.record.path).messages():
            if (message.sender, message.message_id) in keys and not message.is_error:
                differences.note_carried(message)
        for log in self._logs:
            for fields in _records(log):
                if fields["kind"] == "event" or (fields["from"], fields["id"]) not in keys:
                    continue
                is_out = fields["kind"] == "out"
                logged = Logged(log.agent, fields["seq"], fields["at"], is_out, words_of(fields))
                differences.note_logged((fields["from"], fields["id"]), logged)
        return differences.found(
            {names[place]: whose for place, whose in out_of_order.items() if place in names}
        )


class _Order:
    """Messages between two agents that were not repeated, in the order in which the server took them."""

    def __init__(self) -> None:
        self.broken: dict[int, str] = {}
        self._last: dict[tuple[str, str, bool], int] = {}

    def is_broken(self, place: int, sender: str, recipient: str, at: tuple[int, int]) -> bool:
        """Whether a log has it before one that the server took earlier; told once for each log and pair.

        Args:
            place: of the message.
            sender: bare JID.
            recipient: bare JID.
            at: place among the records of the sender's and the recipient's log; 0 for none.
        """
        broken = False
        for position, is_out, whose in ((at[0], True, sender), (at[1], False, recipient)):
            ends = (sender, recipient, is_out)
            last = self._last.get(ends, 0)
            if not position or last < 0:
                continue
            self._last[ends] = position
            if position < last:
                self._last[ends] = -1
                self.broken[place] = whose
                broken = True
        return broken


def words_of(fields: dict[str, Any]) -> Words:
    """What is compared of a message in a log, as the server's record has it."""
    return (
        cut(fields["to"]),
        cut(fields["conversation"]),
        fields["performative"],
        cut(fields["protocol"]),
        cut(fields["ontology"]),
        cut(fields["re"] or ""),
        cut(fields["by"] or ""),
        "true" if fields["expects_reply"] else "",
        sha256(fields["body"].encode("utf-8", "surrogatepass")).hexdigest(),
    )


def _records(log: LogPass) -> Iterator[dict[str, Any]]:
    """What is in a log, as far as its chain was found whole."""
    for number, line in enumerate(complete_lines(log.path)):
        if number == log.records:
            return
        yield json.loads(line)


def _with_inspector(sender: str, recipient: str) -> bool:
    return INSPECTOR in (sender.partition("@")[0], recipient.partition("@")[0])
