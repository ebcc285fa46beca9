"""An envelope as a SPADE message, and back."""

from __future__ import annotations

from runtime.messaging import lean

lean.apply()

from spade.message import Message  # noqa: E402

from runtime.messaging.wire import envelope_of, fields_of  # noqa: E402
from runtime.protocol.envelope import Envelope  # noqa: E402


def message_of(envelope: Envelope) -> Message:
    """Return the SPADE message that carries ``envelope``."""
    return Message(
        to=envelope.recipient,
        sender=envelope.sender,
        body=envelope.body,
        thread=envelope.conversation,
        metadata=fields_of(envelope),
    )


def envelope_of_message(message: Message, recipient: str) -> Envelope:
    """Read the envelope out of a SPADE message.

    Args:
        message: as received; its sender is what the server authenticated.
        recipient: bare JID of the receiving agent.

    Raises:
        ProtocolError: naming the field that is missing, unknown or malformed.
    """
    return envelope_of(message.sender.bare, recipient, message.thread, message._metadata, message.body)
