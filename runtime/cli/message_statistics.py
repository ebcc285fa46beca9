"""Counts over messages: kinds, agents, resends, delays."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from runtime.inspection.index.query import IndexedMessage, MessageQuery
from runtime.inspection.index.unreceived import UnreceivedMessages
from runtime.messagelog.pairing import is_duplicate
from runtime.messagelog.record import instant
from runtime.messagelog.summaries import escaped
from runtime.wording import counted


@dataclass(slots=True)
class Statistics:
    """Counts over messages, and how long they took.

    Attributes:
        messages: number of messages, each once.
        resends: times a message was sent again.
        duplicates: receipts marked as duplicate.
        not_received: messages that the recipient's log should have and has not.
        had_left: messages that were not received as somebody had left by then.
        without_log: messages to agents whose logs are not here.
        by_performative: messages by performative.
        by_type: messages by body type.
        sent_by_agent: messages by sender.
        received_by_agent: messages received, by recipient.
        delays_s: delivery delays, ascending [s].
    """

    messages: int = 0
    resends: int = 0
    duplicates: int = 0
    not_received: int = 0
    had_left: int = 0
    without_log: int = 0
    by_performative: Counter[str] = field(default_factory=Counter)
    by_type: Counter[str] = field(default_factory=Counter)
    sent_by_agent: Counter[str] = field(default_factory=Counter)
    received_by_agent: Counter[str] = field(default_factory=Counter)
    delays_s: array[float] = field(default_factory=lambda: array("d"))

    def delay_s(self, fraction: float) -> float | None:
        """Give the delay that ``fraction`` of messages do not exceed [s], by nearest rank; None if none."""
        if not self.delays_s:
            return None
        return self.delays_s[max(0, math.ceil(fraction * len(self.delays_s)) - 1)]

    def as_json(self) -> dict[str, Any]:
        """Give the counts as a JSON object."""
        return {
            "messages": self.messages,
            "resends": self.resends,
            "duplicates": self.duplicates,
            "not_received": self.not_received,
            "not_received_had_left": self.had_left,
            "not_received_without_log": self.without_log,
            "delay_p50_s": self.delay_s(0.5),
            "delay_p95_s": self.delay_s(0.95),
            "delay_max_s": self.delay_s(1.0),
            "by_performative": dict(self.by_performative.most_common()),
            "by_type": dict(self.by_type.most_common()),
            "sent_by_agent": dict(sorted(self.sent_by_agent.items())),
            "received_by_agent": dict(sorted(self.received_by_agent.items())),
        }


def statistics_of(messages: Iterable[IndexedMessage], query: MessageQuery) -> Statistics:
    """Count messages.

    Args:
        messages: which.
        query: the index that they are from.

    Raises:
        LogError: a log was changed since it was indexed.
    """
    counts = Statistics()
    unreceived = UnreceivedMessages()
    unreceived.know(query)
    for message in messages:
        counts.messages += 1
        counts.resends += max(0, len(message.sent) - 1)
        counts.duplicates += sum(is_duplicate(seen.note) for seen in message.received)
        counts.by_performative[message.performative] += 1
        counts.by_type[message.type or "?"] += 1
        counts.sent_by_agent[message.sender.partition("@")[0]] += 1
        if not message.received:
            unreceived.add(message, query)
            continue
        counts.received_by_agent[message.recipient.partition("@")[0]] += 1
        if message.sent:
            delay = instant(message.received[0].at) - instant(message.sent[0].at)
            counts.delays_s.append(delay.total_seconds())
    counts.delays_s = array("d", sorted(counts.delays_s))
    unreceived.settle(query)
    counts.not_received, counts.had_left = unreceived.lost, unreceived.parted
    counts.without_log = unreceived.without_log
    return counts


def statistics_text(counts: Statistics) -> str:
    """Say the counts in lines."""
    lines = [
        f"{counted(counts.messages, 'message')}; {counted(counts.resends, 'resend')}, "
        f"{counted(counts.duplicates, 'duplicate')}, {counts.not_received} not received"
    ]
    if counts.had_left:
        lines.append(f"{counts.had_left} more not received, as somebody had left by then")
    if counts.without_log:
        lines.append(f"{counts.without_log} to agents whose logs are not here")
    p50, p95, longest = counts.delay_s(0.5), counts.delay_s(0.95), counts.delay_s(1.0)
    if p50 is not None and p95 is not None and longest is not None:
        lines.append(f"delay: p50 {p50 * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms, max {longest * 1e3:.1f} ms")
    for title, counter in (("performative", counts.by_performative), ("type", counts.by_type)):
        lines += ["", f"{title:<28}messages", *_counted(counter.most_common())]
    lines += ["", f"{'agent':<28}{'sent':>8}{'received':>10}"]
    for name in sorted({*counts.sent_by_agent, *counts.received_by_agent}):
        sent, received = counts.sent_by_agent[name], counts.received_by_agent[name]
        lines.append(f"{escaped(name):<28}{sent:>8}{received:>10}")
    return "\n".join(lines)


def _counted(pairs: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{escaped(name):<28}{count:>8}" for name, count in pairs]
