"""The page for meters in other languages says what really happens."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from typer.testing import CliRunner

from agents.meters.energy import SlotEnergy
from agents.meters.machine import AttachedMeterMachine
from runtime.cli.meter import app
from runtime.cli.meter_protocol import recorded_exchange, stanza_shown
from runtime.cli.meter_schema import meter_schema
from runtime.horizon import Horizon
from runtime.messaging.spade_message import envelope_of_message, message_of_stanza
from runtime.protocol.bodies import parse_body
from runtime.protocol.machine import Send

METER = "school.meter2@peerwatt.localhost"


class Recorded:
    """Reads what was read when the exchange was recorded."""

    roles = frozenset({"load"})
    immediate = True

    def read(self, session, slot, horizon, role):
        values = {7: SlotEnergy(7.54470342, "estimated", 0.0), 8: SlotEnergy(0.774671345, "metered", 0.0)}
        return values[slot]


def said_in(effects):
    return [effect.envelope for effect in effects if isinstance(effect, Send)]


def without_ids(envelope):
    answers = envelope.in_reply_to and envelope.in_reply_to.rpartition("-")[2]
    return (
        *(envelope.sender, envelope.recipient, envelope.performative, envelope.protocol),
        *(envelope.conversation, envelope.expects_reply, parse_body(envelope.body)),
        None if envelope.sender != METER else answers,
    )


def test_a_meter_says_what_was_recorded_when_it_is_told_what_was_recorded():
    start = datetime(2024, 6, 17, 22, tzinfo=UTC)
    horizons = [Horizon(start=start, zone="Europe/Paris", slot_minutes=60, slots=24)]
    recorded = recorded_exchange()
    machine = AttachedMeterMachine(
        METER,
        "school@peerwatt.localhost",
        Recorded(),
        "pipe:?unit=Wh",
        ["load"],
        horizons,
        id_prefix="77fcf231-",
    )
    said = said_in(machine.start())
    for envelope in recorded:
        if envelope.recipient == METER:
            if envelope == recorded[-1]:
                said += said_in(machine.detach())
                break
            said += said_in(machine.receive(envelope, parse_body(envelope.body)))
    expected = [envelope for envelope in recorded if envelope.sender == METER]
    assert [without_ids(envelope) for envelope in said] == [without_ids(envelope) for envelope in expected]
    asked = {envelope.message_id for envelope in recorded if envelope.expects_reply}
    assert {envelope.in_reply_to for envelope in recorded if envelope.in_reply_to} == asked


def test_the_stanzas_shown_are_read_by_an_agent_as_what_was_recorded():
    for envelope in recorded_exchange():
        xml = stanza_shown(envelope).replace("<message ", '<message xmlns="jabber:client" ', 1)
        message = message_of_stanza(ElementTree.fromstring(xml))
        assert envelope_of_message(message, envelope.recipient) == envelope


def test_the_page_names_every_body_of_the_schema_and_shows_the_exchange():
    page = CliRunner().invoke(app, ["schema", "--docs"]).output
    for name in meter_schema()["discriminator"]["mapping"]:
        assert f"`{name}`" in page
    shown = [stanza_shown(envelope) for envelope in recorded_exchange()]
    assert re.findall(r"```xml\n(.*?)\n```", page, re.DOTALL) == shown
    assert "{" not in page.partition("## An exchange")[0]
