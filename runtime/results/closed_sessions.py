"""The sessions of a run that are closed, whether it has ended or goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from runtime.errors import InputError
from runtime.packed_records import packed_path, packed_paths, read_packed
from runtime.records import CoordinatorRecord, MemberRecord, SessionRecord
from runtime.results.reading import load_record, read_records
from runtime.rundir import SECOND_COORDINATOR, RunDirectory


@dataclass(frozen=True)
class Books:
    """What is settled of a run so far.

    Attributes:
        run: community, mechanism and members; its sessions are in ``sessions``.
        sessions: those that are closed, in order; of a run that goes on each is read when it is asked for.
        members: members' own records by name; those of a run that goes on are not written yet.
        ended: whether no session is to come.
    """

    run: CoordinatorRecord
    sessions: Sequence[SessionRecord]
    members: Mapping[str, MemberRecord]
    ended: bool


def read_books(run: Path) -> Books:
    """Open what is settled of a run.

    Args:
        run: the run's directory.

    Raises:
        InputError: nothing is settled yet, or a record is missing or damaged; or the run is of two
            communities, and has not ended.
    """
    directory = RunDirectory(run)
    if directory.coordinator_record.is_file():
        record, members = read_records(run)
        begun = record.model_copy(update={"sessions": []})
        return Books(begun, record.sessions, members, ended=True)
    if directory.closed_dir(SECOND_COORDINATOR).is_dir():
        raise InputError(
            f"{run}: two communities bill together when the run has ended: their books are joined then"
        )
    sessions = ClosedSessions(directory.closed_dir())
    if not sessions:
        raise InputError(
            f"{run}: no session is closed yet: expected one at least in {directory.closed_dir()}"
        )
    path = directory.begun_record()
    if not path.is_file():
        raise InputError(f"{path}: missing; the coordinator writes it before the first session")
    return Books(load_record(CoordinatorRecord, path), sessions, {}, ended=False)


class ClosedSessions(Sequence[SessionRecord]):
    """The closed sessions of a run that goes on; each is read from its file when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Look into a coordinator's folder of closed sessions; later ones are not among them."""
        self._paths = packed_paths(folder)
        for number, path in enumerate(self._paths):
            if path != packed_path(folder, number):
                raise InputError(f"{folder}: found {path.name}, expected {packed_path(folder, number).name}")

    @overload
    def __getitem__(self, place: int) -> SessionRecord: ...

    @overload
    def __getitem__(self, place: slice) -> list[SessionRecord]: ...

    def __getitem__(self, place: int | slice) -> SessionRecord | list[SessionRecord]:
        """Read a session, or several.

        Raises:
            InputError: its file is missing or damaged.
        """
        if isinstance(place, slice):
            return [_read(path) for path in self._paths[place]]
        return _read(self._paths[place])

    def __len__(self) -> int:
        return len(self._paths)


def _read(path: Path) -> SessionRecord:
    try:
        return read_packed(SessionRecord, path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: not the record of a closed session: {reason}; `peerwatt resume` makes it anew from the "
            "coordinator's log"
        ) from error
