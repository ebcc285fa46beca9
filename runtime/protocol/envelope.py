"""What every message carries beside its body: FIPA-ACL fields.

Source: FIPA ACL Message Structure Specification (SC00061G); the names of the fields are FIPA's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ONTOLOGY = "peerwatt/1"
"""Name and version of the vocabulary; a message in another one is not understood."""

MAX_BODY_BYTES = 200_000
"""Longer bodies are refused before sending: Prosody ends the stream above 256 kB of XML."""


JOIN, MARKET, BARGAINING, OPERATION = "join", "market", "bargaining", "operation"
COMMUNITIES, METERING, SETPOINT, INSPECTION = "communities", "metering", "setpoint", "inspection"
"""The interactions that messages belong to: joining, the rounds and the close of a session, bargaining among
members, a slot's delivery; what two coordinators, a member and its meter or its battery's controller, and an
agent and the inspector have to say to each other."""


class Performative(StrEnum):
    """The FIPA communicative acts the market uses."""

    REQUEST = "request"
    AGREE = "agree"
    REFUSE = "refuse"
    CFP = "cfp"
    PROPOSE = "propose"
    ACCEPT_PROPOSAL = "accept-proposal"
    REJECT_PROPOSAL = "reject-proposal"
    INFORM = "inform"
    SUBSCRIBE = "subscribe"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    QUERY_REF = "query-ref"
    FAILURE = "failure"
    NOT_UNDERSTOOD = "not-understood"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as it travels.

    Attributes:
        sender: bare JID of who says it. On receipt this is what the server authenticated.
        recipient: bare JID of who it is for.
        performative: the communicative act.
        protocol: the interaction it belongs to, ``MARKET`` and so on.
        conversation: the market session, or the metering relation, it belongs to (XMPP thread).
        message_id: unique per sender; effects happen once per (sender, message_id).
        in_reply_to: the ``message_id`` this answers, or None.
        expects_reply: whether the sender repeats the message until it is answered.
        reply_by: UTC instant (ISO 8601) after which an answer is too late, or None.
        body: JSON text, ASCII, at most ``MAX_BODY_BYTES``.
        ontology: the vocabulary, with its version.
    """

    sender: str
    recipient: str
    performative: Performative
    protocol: str
    conversation: str
    message_id: str
    body: str
    in_reply_to: str | None = None
    expects_reply: bool = False
    reply_by: str | None = None
    ontology: str = ONTOLOGY
