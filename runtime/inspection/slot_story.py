"""What happened to one member in one slot, from its own log and record, and the community's record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.errors import InputError, ProtocolError
from runtime.messagelog.facts import body_facts
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import NOTE_RESENT
from runtime.messagelog.speakers import why_not
from runtime.protocol.bodies import parse_body
from runtime.protocol.envelope import Envelope
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import RunDirectory

Story = dict[str, Any]
"""JSON-ready: ``rounds``, ``agreement``, ``readings``, ``delivery``, ``bill_line``, ``correction``,
``adjustment``, ``steering``, ``forecast`` and ``community``; None or empty where nothing is known."""


def session_horizons(log: Path) -> list[dict[str, Any]]:
    """The horizons that a member was told when it was admitted; none if it was not."""
    for record in read_log(log, check_hashes=False):
        if record.envelope is not None and record.envelope.performative == "agree":
            body = _body_of(record.envelope)
            if body.get("type") == "admission":
                found: list[dict[str, Any]] = body["sessions"]
                return found
    return []


def story_of(directory: RunDirectory, member: str, session: int, slot: int) -> Story:
    """Gather what there is about a slot.

    Args:
        directory: the run.
        member: whose slot.
        session: market session, from 0.
        slot: slot of the session, from 0.

    Raises:
        InputError: a record is damaged.
        LogError: the member's log cannot be read, or its chain is broken.
    """
    story: Story = {"rounds": [], "agreement": None, "readings": [], "delivery": None, "bill_line": None}
    story |= {"correction": None, "adjustment": None, "steering": []}
    rounds: dict[int, dict[str, Any]] = {}
    for record in read_log(directory.log(member)):
        envelope = record.envelope
        note = record.note or ""
        if envelope is None or note.startswith(NOTE_RESENT) or (record.kind == "in" and note):
            continue
        body = _body_of(envelope)
        if body.get("session") != session:
            continue
        kind, here = body.get("type"), body.get("slot") == slot
        if kind == "price-signal":
            told = rounds.setdefault(body["round"], {"round": body["round"], "net_kwh": None})
            told["import_price_eur_per_kwh"] = body["import_price_eur_per_kwh"][slot]
            told["export_price_eur_per_kwh"] = body["export_price_eur_per_kwh"][slot]
        elif kind == "position" and record.kind == "out" and body["round"] in rounds:
            if rounds[body["round"]]["net_kwh"] is None:  # of several the first counts
                net_kwh = body["grid_import_kwh"][slot] - body["grid_export_kwh"][slot]
                rounds[body["round"]]["net_kwh"] = net_kwh
        elif kind == "agreement":
            story["agreement"] = {
                "round": body["round"],
                "position_round": body["position_round"],
                "local_price_eur_per_kwh": body["local_price_eur_per_kwh"][slot],
                "import_price_eur_per_kwh": body["import_price_eur_per_kwh"][slot],
                "export_price_eur_per_kwh": body["export_price_eur_per_kwh"][slot],
                "net_kwh": body["grid_import_kwh"][slot] - body["grid_export_kwh"][slot],
            }
        elif kind in ("reading", "reading-correction") and here:
            energies = {entry["n"]: entry["v"] for entry in body["e"]}
            quality = body.get("quality", "metered")
            reading = {"meter": envelope.sender, "quality": quality, **energies}
            if kind == "reading-correction":
                reading["later"] = True
            story["readings"].append(reading)
        elif kind == "delivery" and here:
            story["delivery"] = story["delivery"] or body
        elif kind in ("setpoint", "setpoint-outcome") and here:
            story["steering"].append(body)
        elif kind == "bill-line" and here:
            story["bill_line"] = body
        elif kind == "delivery-correction" and here and record.kind == "out":
            story["correction"] = body
        elif kind == "adjustment-line" and here:
            story["adjustment"] = body
    story["rounds"] = [rounds[number] for number in sorted(rounds)]
    story["forecast"] = _forecast(directory, member, session, slot)
    story["community"] = _community(directory, session, slot)
    return story


def _body_of(envelope: Envelope) -> dict[str, Any]:
    """Body of a message; empty for what its sender may not say, or nobody can read: it was refused."""
    facts = body_facts(envelope)
    if why_not(envelope.sender, envelope.recipient, envelope.performative.value, facts.type) is not None:
        return {}
    try:
        parse_body(envelope.body)
    except ProtocolError:
        return {}
    return facts.fields


def _forecast(directory: RunDirectory, member: str, session: int, slot: int) -> dict[str, Any] | None:
    """What the member foresaw and did, from its own record."""
    path = directory.member_record(member)
    if not path.is_file():
        return None
    try:
        record = MemberRecord.load(path)
    except ValueError as error:
        raise InputError(f"{path}: not a member's record of this version") from error
    own = next((each for each in record.sessions if each.session == session), None)
    if own is None:
        return None
    plan, forecast = own.plan, own.forecast
    return {
        "method": None if forecast is None else _method(forecast.load_series or forecast.pv_series),
        "foreseen_residual_load_kwh": None if plan is None else plan.residual_load_kwh[slot],
        "load_kwh": own.load_kwh[slot],
        "pv_kwh": own.pv_kwh[slot],
        "battery_charge_kwh": own.battery_charge_kwh[slot],
        "battery_discharge_kwh": own.battery_discharge_kwh[slot],
        "stored_kwh": own.stored_kwh[slot] if own.stored_kwh else None,
        "capacity_kwh": record.battery_capacity_kwh,
        "planned_net_kwh": own.planned_net_kwh[slot],
        "net_kwh": own.net_kwh[slot],
        "unmetered_kwh": own.unmetered_kwh[slot] if own.unmetered_kwh else 0.0,
    }


def _method(series: Any) -> str | None:  # noqa: ANN401 - a forecast, or none
    return None if series is None else str(series.method)


def _community(directory: RunDirectory, session: int, slot: int) -> dict[str, Any] | None:
    """What all together took and gave in the slot, from the coordinator's record."""
    if not directory.coordinator_record.is_file():
        return None
    try:
        record = CoordinatorRecord.load(directory.coordinator_record)
    except ValueError as error:
        raise InputError(f"{directory.coordinator_record}: not a record of this version") from error
    held = next((each for each in record.sessions if each.session == session), None)
    if held is None:
        return None
    net = [delivery.net_kwh for delivery in held.deliveries if delivery.slot == slot]
    return {
        "members": len(net),
        "taken_kwh": str(sum(energy for energy in net if energy > 0)),
        "given_kwh": str(-sum(energy for energy in net if energy < 0)),
        "suspended": slot in held.suspended_slots,
        "contracts": sum(contract.energy_kwh[slot] > 0 for contract in held.contracts),
    }
