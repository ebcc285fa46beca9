"""The process of an attached meter, seen from the command line: started, found again, ended.

It lives on after the command that started it. What is known of it is in the run's folder ``meters``: a state
file and the lines it printed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from runtime.errors import FleetError, InputError
from runtime.files import write_text_atomically
from runtime.operations_log import last_complaint
from runtime.rundir import METERS_PER_MEMBER, attached_meter_account

ATTACH_LIMIT_S = 45.0
"""How long a meter may take to start, connect and be taken by its prosumer; it gives up earlier itself."""

LEAVE_LIMIT_S = 15.0
"""How long a meter may take to detach and leave."""

POLL_S = 0.05

State = Literal["attached", "ended", "gone"]
"""Whether its process runs, left in good order, or left without a word."""


class AttachedMeter(BaseModel):
    """State file of an attached meter.

    Attributes:
        member: whose meter it is.
        pid: its process.
        process_started_s: when that process started [s since 1970], to know it from a later one of that pid.
        source: where its readings come from.
        roles: what it measures.
        since: when it was attached.
        session: market session from which on it counts; None if it came after the last slot.
        slot: slot of that session.
        connection: connection file, if it is not the run's own.
    """

    model_config = ConfigDict(extra="forbid")

    member: str
    pid: int
    process_started_s: float
    source: str
    roles: list[str]
    since: AwareDatetime
    session: int | None
    slot: int | None
    connection: Path | None = None


@dataclass(frozen=True)
class MeterFiles:
    """Files about one of a member's attached meters.

    Attributes:
        run: the run's folder.
        member: the member's name.
        number: which of the member's further meters it is, from 2.
    """

    run: Path
    member: str
    number: int = 2

    @property
    def account(self) -> str:
        """Local part of the meter's account."""
        return attached_meter_account(self.member, self.number)

    @property
    def state(self) -> Path:
        """``AttachedMeter`` as JSON."""
        return self.run / "meters" / f"{self.account}.json"

    @property
    def output(self) -> Path:
        """What the meter's processes printed, one JSON object for each step."""
        return self.run / "meters" / f"{self.account}.log"

    def load(self) -> AttachedMeter | None:
        """Read the state file; None if there is none.

        Raises:
            InputError: it is damaged.
        """
        try:
            return AttachedMeter.model_validate_json(self.state.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InputError(f"{self.state}: cannot be read as the state of a meter: {error}") from error

    def save(self, meter: AttachedMeter) -> None:
        """Write the state file."""
        write_text_atomically(self.state, meter.model_dump_json(indent=1) + "\n")

    def output_size(self) -> int:
        """Where the next printed line will start [bytes]."""
        return self.output.stat().st_size if self.output.exists() else 0

    def steps(self, start: int = 0) -> list[dict[str, Any]]:
        """Steps printed from byte ``start`` on, oldest first."""
        return list(_steps_in(self._printed(start)))

    def last_words(self, start: int = 0) -> str:
        """The last whole line printed from byte ``start`` on, what is merely logged left out."""
        return last_complaint(self._printed(start)) or "it said nothing"

    def _printed(self, start: int) -> str:
        if not self.output.exists():
            return ""
        with self.output.open("rb") as output:
            output.seek(start)
            text = output.read().decode("utf-8", "replace")
        return text[: text.rfind("\n") + 1]


def meter_files(run: Path, member: str) -> list[MeterFiles]:
    """The files of all meters that a member may have attached."""
    return [MeterFiles(run, member, number) for number in range(2, METERS_PER_MEMBER + 1)]


def account_parts(account: str) -> tuple[str, int]:
    """Member and number of a further meter's account."""
    member, _, number = account.rpartition(".meter")
    return member, int(number)


def _steps_in(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            step = json.loads(line)
        except ValueError:
            continue
        if isinstance(step, dict) and "phase" in step:
            yield step


def step_named(steps: list[dict[str, Any]], *phases: str) -> dict[str, Any] | None:
    """The last step of one of these phases, or None."""
    return next((step for step in reversed(steps) if step["phase"] in phases), None)


def state_of(meter: AttachedMeter, files: MeterFiles) -> State:
    """Whether the meter's process runs, left in good order, or left without a word."""
    if process_of(meter) is not None:
        return "attached"
    last = step_named(files.steps(), "attached", "detached", "ended")
    return "gone" if last is None or last["phase"] == "attached" else "ended"


def process_of(meter: AttachedMeter) -> Any | None:  # noqa: ANN401 - psutil has no types
    """The meter's process (``psutil.Process``), or None if it has ended."""
    import psutil

    try:
        process = psutil.Process(meter.pid)
        same = abs(process.create_time() - meter.process_started_s) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def start_meter(
    files: MeterFiles, source: str, roles: list[str], connection: Path | None
) -> tuple[subprocess.Popen[bytes], AttachedMeter]:
    """Start a meter in the background and wait until its prosumer has taken it.

    Args:
        files: where its output goes; the state file is written once it is attached.
        source: where its readings come from.
        roles: what it measures; all that the source can if empty.
        connection: connection file; the run's own if None.

    Returns:
        The process, and what is in the state file.

    Raises:
        InputError: source, role or connection will not do.
        FleetError: the prosumer refused, or nobody answered in time.
    """
    from datetime import UTC, datetime

    command = [sys.executable, "-m", "agents", "meter", "--run", str(files.run), "--member", files.member]
    command += ["--number", str(files.number), "--source", source]
    command += [word for role in roles for word in ("--role", role)]
    if connection is not None:
        command += ["--connection", str(connection)]
    process, attached = start_attached(files, command)
    meter = AttachedMeter(
        member=files.member,
        pid=process.pid,
        process_started_s=started_s(process.pid),
        source=source,
        roles=attached["roles"],
        since=datetime.now(UTC),
        session=attached["session"],
        slot=attached["slot"],
        connection=connection,
    )
    files.save(meter)
    return process, meter


def started_s(pid: int) -> float:
    """When a process started [s since 1970]."""
    import psutil

    return float(psutil.Process(pid).create_time())


def start_attached(files: MeterFiles, command: list[str]) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start what is to be attached in the background, and wait until its prosumer has taken it.

    Returns:
        The process, and the step ``attached`` that it printed.

    Raises:
        InputError: what it was told will not do.
        FleetError: the prosumer refused, or nobody answered in time.
    """
    files.output.parent.mkdir(parents=True, exist_ok=True)
    start = files.output_size()
    with files.output.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        return process, _await_attached(process, files, start)
    except BaseException:
        process.terminate()
        try:
            process.wait(LEAVE_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def _await_attached(process: subprocess.Popen[bytes], files: MeterFiles, start: int) -> dict[str, Any]:
    deadline_s = time.monotonic() + ATTACH_LIMIT_S
    while True:
        code = process.poll()
        steps = files.steps(start)
        attached = step_named(steps, "attached")
        if attached is not None and code is None:
            return attached
        if code is not None:
            failed = step_named(steps, "failed")
            reason = str(failed["reason"]) if failed else files.last_words(start)
            if code == InputError.exit_code:
                raise InputError(reason)
            raise FleetError(f"{files.member}: it left with exit code {code}: {reason}")
        if time.monotonic() > deadline_s:
            raise FleetError(f"{files.member}: not attached within {ATTACH_LIMIT_S:g} s; see {files.output}")
        time.sleep(POLL_S)


def stop_meter(meter: AttachedMeter, files: MeterFiles) -> dict[str, Any] | None:
    """Have an attached meter detach and leave.

    Returns:
        The step ``detached`` with session and slot from which the member's own meter counts again; None if
        the prosumer did not acknowledge.

    Raises:
        FleetError: it had to be killed.
    """
    import psutil

    process = process_of(meter)
    start = files.output_size()
    if process is not None:
        try:
            process.send_signal(signal.SIGTERM)
            process.wait(LEAVE_LIMIT_S)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(LEAVE_LIMIT_S)
            raise FleetError(
                f"{meter.member}: the meter had not left after {LEAVE_LIMIT_S:g} s and was killed; "
                "detach it again, so that its prosumer knows"
            ) from None
    return left(files, start)


def left(files: MeterFiles, start: int) -> dict[str, Any] | None:
    """Clear up after a meter that left in good order, as it printed from byte ``start`` on.

    Returns:
        The step ``detached`` or ``ended``; None, and nothing is cleared up, if its prosumer does not know.
    """
    step = step_named(files.steps(start), "detached", "ended")
    if step is not None:
        files.state.unlink(missing_ok=True)
    return step
