"""``peerwatt meter schema --docs``: how a meter in any language joins, and an exchange as recorded."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from runtime.messaging.wire import (
    FORM_TITLE,
    MAX_ESCAPED_BODY_BYTES,
    MAX_FIELD_CHARACTERS,
    THREAD_FIELD,
    fields_of,
)
from runtime.protocol.envelope import MAX_BODY_BYTES, ONTOLOGY, Envelope, Performative
from runtime.protocol.exchange import Exchange
from runtime.protocol.meter_bodies import NAMES_OF_ROLE


def protocol_page() -> str:
    """The page, in Markdown."""
    roles = "\n".join(
        f"* `{role}`: " + " and ".join(f"`{name}`" for name in names) for role, names in NAMES_OF_ROLE.items()
    )
    page = files("runtime.cli").joinpath("meter_protocol.template").read_text(encoding="utf-8")
    return page.format(
        title=FORM_TITLE,
        ontology=ONTOLOGY,
        thread=THREAD_FIELD,
        field_characters=MAX_FIELD_CHARACTERS,
        body_bytes=MAX_BODY_BYTES,
        escaped_bytes=MAX_ESCAPED_BODY_BYTES,
        first_s=Exchange().resend_after_s,
        last_s=Exchange().resend_cap_s,
        roles=roles,
        exchange="\n".join(_shown(envelope) for envelope in recorded_exchange()),
    )


def recorded_exchange() -> list[Envelope]:
    """The messages of the recorded exchange, in order."""
    text = files("runtime.cli").joinpath("meter_exchange.toml").read_text(encoding="utf-8")
    return [
        Envelope(
            sender=row["from"],
            recipient=row["to"],
            performative=Performative(row["performative"]),
            protocol=row["protocol"],
            conversation=row["conversation"],
            message_id=row["id"],
            body=row["body"],
            in_reply_to=row.get("re"),
            expects_reply=row.get("expects_reply", False),
            reply_by=row.get("by"),
        )
        for row in tomllib.loads(text)["message"]
    ]


def stanza_shown(envelope: Envelope) -> str:
    """A message's stanza over several lines, as it is written; blank text between fields says nothing."""
    from xml.sax.saxutils import escape, quoteattr

    fields = "".join(
        f'    <field type="text-single" var="{name}"><value>{escape(value)}</value></field>\n'
        for name, value in (*fields_of(envelope).items(), (THREAD_FIELD, envelope.conversation))
    )
    return (
        f"<message from={quoteattr(envelope.sender)} to={quoteattr(envelope.recipient)} "
        f'type="chat">\n  <body>{escape(envelope.body)}</body>\n  <x xmlns="jabber:x:data" type="form">\n'
        f"    <title>{FORM_TITLE}</title>\n{fields}  </x>\n</message>"
    )


def _shown(envelope: Envelope) -> str:
    return f"```xml\n{stanza_shown(envelope)}\n```\n"
