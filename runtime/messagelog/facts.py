"""What a message is about, read from its body as far as the body says so."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.protocol.envelope import Envelope


@dataclass(frozen=True, slots=True)
class BodyFacts:
    """The part of a body that every reader of a log understands.

    Attributes:
        type: the body's type, None if it does not say.
        session: market session, from 0, or None.
        round: round of the negotiation, or None.
        slot: slot of the session, or None.
        fields: the whole body; empty if it is no JSON object.
    """

    type: str | None = None
    session: int | None = None
    round: int | None = None
    slot: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def body_facts(envelope: Envelope) -> BodyFacts:
    """Read the facts from a message's own body; one that is no JSON object has none."""
    try:
        fields = json.loads(envelope.body)
    except (ValueError, RecursionError):
        return BodyFacts()
    if not isinstance(fields, dict):
        return BodyFacts()
    kind = fields.get("type")
    return BodyFacts(
        type=kind if isinstance(kind, str) else None,
        session=_index(fields, "session"),
        round=_index(fields, "round"),
        slot=_index(fields, "slot"),
        fields=fields,
    )


def _index(fields: dict[str, Any], key: str) -> int | None:
    value = fields.get(key)
    return value if type(value) is int else None


_REMEMBERED = 100_000
"""So many messages are remembered for those that answer them."""


class ConversationFacts:
    """Facts of messages in the light of those they answer.

    An answer such as ``acknowledged`` names no round or slot: it has those of the message it answers.
    """

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], BodyFacts] = {}

    def of(self, envelope: Envelope) -> BodyFacts:
        """Give the facts of a message; those it answers must have been asked for before."""
        key = (envelope.sender, envelope.message_id)
        own = body_facts(envelope)
        asked = self._facts.get((envelope.recipient, envelope.in_reply_to or ""))
        if asked is not None:
            own = replace(
                own,
                session=asked.session if own.session is None else own.session,
                round=asked.round if own.round is None and own.slot is None else own.round,
                slot=asked.slot if own.slot is None and own.round is None else own.slot,
            )
        self.remember(key, own)
        return own

    def remember(self, key: tuple[str, str], facts: BodyFacts) -> None:
        """Know the facts of a message, by sender and id, for those that answer it."""
        self._facts[key] = replace(facts, fields={})
        if len(self._facts) > _REMEMBERED:
            del self._facts[next(iter(self._facts))]
