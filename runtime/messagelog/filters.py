"""Which messages to list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from runtime.errors import InputError
from runtime.messagelog.facts import BodyFacts, body_facts
from runtime.messagelog.record import LogRecord, RecordKind
from runtime.protocol.envelope import Envelope

Direction = Literal["in", "out"]


def is_agent(name: str, jid: str) -> bool:
    """Tell whether ``name`` means the agent ``jid``: its bare JID, or the part before the ``@``."""
    return name == jid or name == jid.partition("@")[0]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Criteria a message meets all of; None stands for any.

    Attributes:
        agent: sender or recipient (of records: whose log), as ``is_agent``.
        peer: the other end.
        direction: ``in`` if the agent (of records: the log's) received it, ``out`` if it sent it. For
            messages it has a meaning only beside ``agent``, and is ignored without.
        performative: FIPA performative.
        protocol: interaction it belongs to.
        body_type: ``type`` of the body.
        session: market session: its number, from 1 as people count, or the conversation's whole name.
        round: round of the negotiation.
        slot: slot of the session.
        text: found anywhere in the body, ids or names, upper or lower case; of events in name or data.
        since: written at this instant or later, in the form of ``LogRecord.at``.
        until: written before this instant, in the form of ``LogRecord.at``.
    """

    agent: str | None = None
    peer: str | None = None
    direction: Direction | None = None
    performative: str | None = None
    protocol: str | None = None
    body_type: str | None = None
    session: str | None = None
    round: int | None = None
    slot: int | None = None
    text: str | None = None
    since: str | None = None
    until: str | None = None

    def accepts(self, envelope: Envelope, at: str, facts: BodyFacts | None = None) -> bool:
        """Tell whether a message is to be listed, seen from outside all logs.

        Args:
            envelope: the message.
            at: when it was sent.
            facts: what it is about, if known better than from its own body.
        """
        return (
            self._in_time(at)
            and self._between(envelope)
            and self._said(envelope)
            and self._about(envelope, facts)
        )

    def accepts_record(self, record: LogRecord, facts: BodyFacts | None = None) -> bool:
        """Tell whether a record is to be listed, seen from the agent whose log it is in.

        An event is listed unless a criterion only messages can meet is set.

        Args:
            record: the record.
            facts: what its message is about, if known better than from its own body.
        """
        if not self._in_time(record.at) or (self.agent is not None and not self._owns(record)):
            return False
        if record.envelope is None:
            return not self._asks_for_messages() and self._event_says(record)
        if self.direction is not None and record.kind != self.direction:
            return False
        envelope = record.envelope
        other = envelope.sender if record.kind is RecordKind.IN else envelope.recipient
        if self.peer is not None and not is_agent(self.peer, other):
            return False
        return self._said(envelope) and self._about(envelope, facts)

    def _owns(self, record: LogRecord) -> bool:
        assert self.agent is not None
        return is_agent(record.agent, self.agent) or is_agent(self.agent, record.agent)

    def _in_time(self, at: str) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def _between(self, envelope: Envelope) -> bool:
        ends = [(envelope.sender, envelope.recipient, "out"), (envelope.recipient, envelope.sender, "in")]
        return any(
            (self.agent is None or is_agent(self.agent, end))
            and (self.peer is None or is_agent(self.peer, other))
            and (self.agent is None or self.direction is None or self.direction == direction)
            for end, other, direction in ends
        )

    def _said(self, envelope: Envelope) -> bool:
        return (
            (self.performative is None or self.performative == envelope.performative)
            and (self.protocol is None or self.protocol == envelope.protocol)
            and (self.text is None or self.text.lower() in _searchable(envelope))
        )

    def _about(self, envelope: Envelope, facts: BodyFacts | None) -> bool:
        if self.body_type is None and self.session is None and self.round is None and self.slot is None:
            return True
        known = body_facts(envelope) if facts is None else facts
        return (
            (self.body_type is None or self.body_type == known.type)
            and (self.session is None or self.session in _session_names(envelope, known))
            and (self.round is None or self.round == known.round)
            and (self.slot is None or self.slot == known.slot)
        )

    def _asks_for_messages(self) -> bool:
        criteria = (
            self.peer, self.direction, self.performative, self.protocol,
            self.body_type, self.session, self.round, self.slot,
        )  # fmt: skip
        return any(criterion is not None for criterion in criteria)

    def _event_says(self, record: LogRecord) -> bool:
        return self.text is None or self.text.lower() in f"{record.name} {json.dumps(record.data)}".lower()


def _searchable(envelope: Envelope) -> str:
    return "\n".join(
        (
            envelope.sender, envelope.recipient, envelope.performative, envelope.protocol,
            envelope.conversation, envelope.message_id, envelope.in_reply_to or "", envelope.body,
        )
    ).lower()  # fmt: skip


def session_named(text: str) -> str:
    """A session as a person names it: its number from 1, or the whole name of its conversation.

    Raises:
        InputError: it is 0, which is none.
    """
    if text.isdecimal() and not int(text):
        raise InputError(f"session: found {text}, expected a number from 1 on, or a conversation's name")
    return text


def _session_names(envelope: Envelope, facts: BodyFacts) -> tuple[str, ...]:
    number = () if facts.session is None else (str(facts.session + 1),)
    return (envelope.conversation, *number)
