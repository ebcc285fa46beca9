"""What the tests of meters have in common: a member's meter configuration, and messages to a meter."""

from datetime import datetime
from zoneinfo import ZoneInfo

from runtime.configuration import MemberSession, MeterConfig
from runtime.devices import PvArray
from runtime.horizon import Horizon
from runtime.protocol.bodies import ReadingRequest
from runtime.protocol.envelope import Envelope, Performative

DOMAIN = "peerwatt.localhost"
PROSUMER, OWN, ATTACHED = (f"school{part}@{DOMAIN}" for part in ("", ".meter", ".meter2"))
ARRAY = PvArray(area_m2=10.0, efficiency=0.2)


def horizon(start="2024-06-18T00:00", slots=4, minutes=60, zone="Europe/Paris"):
    return Horizon(
        start=datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)),
        zone=zone,
        slot_minutes=minutes,
        slots=slots,
    )


def meter_config(load_kwh=(1.0, 2.0, 3.0, 4.0), sessions=2, **changes):
    slots = len(load_kwh)
    both = [
        MemberSession(
            horizon=horizon(f"2024-06-{18 + number}T00:00", slots),
            load_kwh=[value + 10 * number for value in load_kwh],
            ghi_w_per_m2=[100.0 * slot for slot in range(slots)],
        )
        for number in range(sessions)
    ]
    fields = {"member": "school", "roles": ["load", "pv"], "pv": ARRAY, "sessions": both}
    return MeterConfig(**{**fields, **changes})


def to_meter(body, *, meter=OWN, sender=PROSUMER, performative=Performative.REQUEST, **changes):
    fields = {
        "sender": sender,
        "recipient": meter,
        "performative": performative,
        "protocol": "metering",
        "conversation": "session-0",
        "message_id": "17",
        "body": body.to_json(),
        "expects_reply": True,
    }
    return Envelope(**{**fields, **changes})


def reading_request(session, slot, roles, day=None):
    """A request for a slot of an hour; ``day`` is the session's first, one session a day without it."""
    hours = day or horizon(f"2024-06-{18 + session}T00:00", slots=24)
    return ReadingRequest(
        session=session,
        slot=slot,
        slot_start=hours.slot_start(slot),
        slot_end=hours.slot_end(slot),
        roles=roles,
    )
