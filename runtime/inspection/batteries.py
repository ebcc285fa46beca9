"""States of charge from the members' own records."""

from __future__ import annotations

from runtime.errors import InputError
from runtime.records import MemberRecord
from runtime.rundir import RunDirectory


def states_of_charge(directory: RunDirectory) -> dict[str, dict[str, list[float]]]:
    """By session (its number as text) and member, the state of charge at the end of every slot [0, 1].

    Only members that have a battery and left their record here are in it.

    Raises:
        InputError: a record is damaged, or of another version.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for path in sorted(directory.member_record("any").parent.glob("*.json")):
        try:
            record = MemberRecord.load(path)
        except ValueError as error:
            raise InputError(f"{path}: not a member's record of this version") from error
        for session in record.sessions:
            if session.stored_kwh and record.battery_capacity_kwh:
                shares = [stored / record.battery_capacity_kwh for stored in session.stored_kwh]
                found.setdefault(str(session.session), {})[record.member] = shares
    return found
