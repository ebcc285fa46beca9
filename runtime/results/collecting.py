"""Brings a run together that was kept in several places: members' own logs and records, from their hosts.

A member that runs on a host of its own keeps its log and its record there. Once it has handed them over – the
folder of ``peerwatt join``, or what was in the volume of a swarm's or a cluster's node – the run has what
only members know: load, production, battery, plans. Everything is checked before anything is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.errors import InputError
from runtime.files import write_bytes_atomically
from runtime.messagelog.reader import log_paths
from runtime.records import CoordinatorRecord, Delivery, MemberRecord
from runtime.results.reading import load_record, session_of
from runtime.rundir import COORDINATORS, RunDirectory, accounts_of

SAME_KWH = 1e-6
"""By no more do a member's own figure and the one that it delivered differ, by rounding."""


@dataclass
class Collected:
    """What was found in other places and is new to the run.

    Attributes:
        records: paths of records in the run, by where they were found.
        logs: paths of message logs in the run, by where they were found.
    """

    records: dict[Path, Path] = field(default_factory=dict)
    logs: dict[Path, Path] = field(default_factory=dict)


def collect(run: Path, folders: Sequence[Path]) -> Collected:
    """Copy members' logs and records into a run; what it has already stays.

    Args:
        run: the run's directory, with the coordinator's record.
        folders: each the folder of a run elsewhere, or one that holds just one such.

    Returns:
        What was copied.

    Raises:
        InputError: a folder holds no run, or what is in it is not of this one or differs from what the run
            has; nothing is copied then.
    """
    directory = RunDirectory(run)
    elsewhere = [RunDirectory(run_in(folder)) for folder in folders]
    found = Collected()
    for path in (path for there in elsewhere for path in sorted(there.communities_dir.glob("*.json"))):
        if path.stem not in COORDINATORS:
            raise InputError(f"{path}: expected the record of {' or '.join(COORDINATORS)}")
        _take(path, directory.community_record(path.stem), found.records)
    coordinators = _coordinators(directory, found.records)
    accounts = accounts_of(
        [member for record in coordinators for member in (*record.members, *record.absent)], COORDINATORS
    )
    for there in elsewhere:
        for path in sorted(there.member_record("any").parent.glob("*.json")):
            check_record(path, coordinators)
            _take(path, directory.member_record(path.stem), found.records)
        for path in log_paths(there.logs_dir):
            if path.stem not in accounts:
                raise InputError(f"{path}: no account of {run} has this name")
            _take(path, directory.log(path.stem), found.logs, grows=True)
    for source, target in (*found.records.items(), *found.logs.items()):
        write_bytes_atomically(target, source.read_bytes())
    return found


def run_in(folder: Path) -> Path:
    """The run's folder that is meant: this one, or the only one in it.

    Raises:
        InputError: there is none, or more than one.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    runs = [path for path in (folder, *sorted(folder.iterdir())) if _holds_run(path)]
    if runs and runs[0] == folder:
        return folder
    if len(runs) != 1:
        names = ", ".join(path.name for path in runs) or "none"
        raise InputError(
            f"{folder}: found {names}, expected a run's folder, with logs/ and records/, or one around it"
        )
    return runs[0]


def check_record(path: Path, coordinators: Sequence[CoordinatorRecord]) -> None:
    """See that a member's record is of the run that its coordinator recorded.

    Raises:
        InputError: it is damaged, of nobody who is a member there, or tells of other sessions or other energy
            than was delivered.
    """
    record = load_record(MemberRecord, path)
    known = [name for each in coordinators for name in each.members]
    if record.member != path.stem or record.member not in known:
        raise InputError(
            f"{path}: found the record of {record.member!r}, expected that of a member of the run: "
            f"{', '.join(known)}"
        )
    coordinator = next(each for each in coordinators if record.member in each.members)
    for session in coordinator.sessions:
        own = session_of(record, session)
        if own is None:
            continue
        for delivery in _delivered(session.deliveries, record.member):
            told_kwh = own.net_kwh[delivery.slot]
            if (
                delivery.slot not in own.corrected_slots
                and abs(told_kwh - float(delivery.net_kwh)) > SAME_KWH
            ):
                raise InputError(
                    f"{path}: session {session.session}, slot {delivery.slot}: found {told_kwh:.6f} kWh, but "
                    f"{delivery.net_kwh} kWh were delivered: this is the record of another run"
                )
    unknown = {own.session for own in record.sessions} - {each.session for each in coordinator.sessions}
    if unknown:
        raise InputError(f"{path}: found session {min(unknown)}, which the run does not have")


def _coordinators(directory: RunDirectory, taken: Mapping[Path, Path]) -> list[CoordinatorRecord]:
    """The coordinator's record; of two communities that are not joined yet, both coordinators' own."""
    paths = [directory.coordinator_record]
    if not paths[0].is_file():
        own = [directory.community_record(coordinator) for coordinator in COORDINATORS]
        there = {target: source for source, target in taken.items()}
        paths = [there.get(path, path) for path in own if path in there or path.is_file()] or paths
    if not paths[0].is_file():
        raise InputError(f"{paths[0]}: missing; the coordinator writes it when the run ends")
    return [load_record(CoordinatorRecord, path) for path in paths]


def _delivered(deliveries: Iterable[Delivery], member: str) -> list[Delivery]:
    """What a member delivered itself; a slot that is missing was settled without it."""
    return [each for each in deliveries if each.member == member and each.quality != "missing"]


def _holds_run(path: Path) -> bool:
    there = RunDirectory(path)
    return there.logs_dir.is_dir() or there.records_dir.is_dir()


def _take(source: Path, target: Path, taken: dict[Path, Path], *, grows: bool = False) -> None:
    """Note a file to copy, unless the run, or another folder, has all of it.

    Raises:
        InputError: there is another one; where files grow, one that does not go on where the other ends.
    """
    others = [target, *(path for path, to in taken.items() if to == target)]
    content = source.read_bytes()
    for other in others:
        if not other.exists():
            continue
        there = other.read_bytes()
        if there == content or (grows and there.startswith(content)):
            return
        if not (grows and content.startswith(there)):
            raise InputError(
                f"{source}: differs from {other}, which is there already; one of them is not of this run"
            )
        taken.pop(other, None)
    taken[source] = target
