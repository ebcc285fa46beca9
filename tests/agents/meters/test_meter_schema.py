import json

from typer.testing import CliRunner

from runtime.cli.meter import app
from runtime.protocol.bodies import Reading, SenmlRecord


def test_the_schema_of_a_meters_messages_names_every_field_of_what_is_really_sent():
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    schema = json.loads(result.output)
    assert set(schema["discriminator"]["mapping"]) == {
        *("meter-attach", "meter-attached", "meter-detach", "metering-ended"),
        *("reading-request", "reading", "reading-correction", "acknowledged", "reason"),
    }
    reading = Reading(session=0, slot=1, bt=0.0, quality="estimated", e=[SenmlRecord(n="load", v=1.5)])
    sent = json.loads(reading.to_json())
    told = schema["$defs"]["Reading"]
    assert set(sent) == set(told["properties"])
    assert told["additionalProperties"] is False
    assert told["properties"]["quality"]["enum"] == ["metered", "estimated"]
    assert set(sent["e"][0]) == set(schema["$defs"]["SenmlRecord"]["properties"])
    assert schema["$defs"]["SenmlRecord"]["properties"]["v"]["minimum"] == 0
