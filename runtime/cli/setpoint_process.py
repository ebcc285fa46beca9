"""The process of a controller that is attached to a running fleet: started, known by its state file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from runtime.cli.meter_process import AttachedMeter, MeterFiles, start_attached, started_s
from runtime.errors import InputError
from runtime.rundir import controller_account
from runtime.setpoints import SetpointTable


class AttachedController(AttachedMeter):
    """State file of an attached controller; its ``source`` is its target.

    Attributes:
        setpoint: target, limits and habits.
    """

    setpoint: SetpointTable


@dataclass(frozen=True)
class ControllerFiles(MeterFiles):
    """Files about a member's attached controller."""

    @property
    def account(self) -> str:
        """Local part of the controller's account."""
        return controller_account(self.member)

    @property
    def state(self) -> Path:
        """``AttachedController`` as JSON."""
        return self.run / "controllers" / f"{self.account}.json"

    @property
    def output(self) -> Path:
        """What the controller's processes printed, one JSON object for each step."""
        return self.run / "controllers" / f"{self.account}.log"

    def load(self) -> AttachedController | None:
        """Read the state file; None if there is none.

        Raises:
            InputError: it is damaged.
        """
        try:
            return AttachedController.model_validate_json(self.state.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InputError(f"{self.state}: cannot be read as the state of a controller: {error}") from error


def start_controller(
    files: ControllerFiles, setpoint: SetpointTable, connection: Path | None
) -> tuple[subprocess.Popen[bytes], AttachedController]:
    """Start a controller in the background and wait until its prosumer has taken it.

    Args:
        files: where its output goes; the state file is written once it is attached.
        setpoint: target, limits and habits.
        connection: connection file; the run's own if None.

    Returns:
        The process, and what is in the state file.

    Raises:
        InputError: target or connection will not do.
        FleetError: the prosumer refused, or nobody answered in time.
    """
    command = [sys.executable, "-m", "agents", "controller", "--run", str(files.run)]
    command += ["--member", files.member, "--setpoint", setpoint.model_dump_json()]
    if connection is not None:
        command += ["--connection", str(connection)]
    process, _ = start_attached(files, command)
    controller = AttachedController(
        member=files.member,
        pid=process.pid,
        process_started_s=started_s(process.pid),
        source=setpoint.target,
        roles=["battery"],
        since=datetime.now(UTC),
        session=None,
        slot=None,
        connection=connection,
        setpoint=setpoint,
    )
    files.save(controller)
    return process, controller
