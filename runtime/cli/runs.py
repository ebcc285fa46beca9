"""Which run a command means: a folder, or a name under ``./runs``."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import InputError
from runtime.rundir import RunDirectory


def find_run(run: str, runs: Path = Path("runs")) -> Path:
    """Directory of a run given by path or by its name.

    Args:
        run: a path, or the name of a folder in ``runs``.
        runs: where runs are kept.

    Raises:
        InputError: neither is a directory.
    """
    for candidate in (Path(run), runs / run):
        if candidate.is_dir():
            return candidate
    known = sorted(path.name for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    raise InputError(
        f"{run}: no such run; expected a run's directory or one of the runs in {runs}/: "
        f"{', '.join(known) or 'there are none'}"
    )


def find_run_with_meters(run: str) -> RunDirectory:
    """A run, found as by ``find_run``, whose configuration is written.

    Raises:
        InputError: there is none, or it is no run.
    """
    directory = RunDirectory(find_run(run))
    if not directory.meters_config.is_file():
        raise InputError(f"run {run!r}: found no {directory.meters_config}: is it a run?")
    return directory
