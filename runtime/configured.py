"""Whether a run's configuration is still what the run began with."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

from runtime.errors import InputError
from runtime.rundir import RunDirectory

CONFIG_DIGESTS, VERSION = "config_sha256", "peerwatt_version"
"""Keys of ``run.json``."""


def config_digests(directory: RunDirectory) -> dict[str, str]:
    """SHA-256 of every file that processes are configured by, by its path in the folder of configuration."""
    folder = directory.config_dir
    files = sorted(path for path in folder.rglob("*.json") if not path.name.startswith("."))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_run(directory: RunDirectory) -> dict[str, Any]:
    """What ``run.json`` says; it is written last, so a run that has one is configured whole.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = directory.run_json
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: missing; is {directory.path} a run? Nothing was started there") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def check_unchanged(directory: RunDirectory) -> None:
    """See that a run can go on from its logs: same software, same configuration.

    Raises:
        InputError: what was changed, and what is expected.
    """
    run = read_run(directory)
    here = version("peerwatt")
    if run.get(VERSION) != here:
        raise InputError(
            f"{directory.run_json}: {VERSION}: found {run.get(VERSION)}, expected {here}: "
            "a run goes on with the version that began it"
        )
    began_with = run.get(CONFIG_DIGESTS)
    if not isinstance(began_with, dict):
        raise InputError(
            f"{directory.run_json}: {CONFIG_DIGESTS}: missing, so that changes would go unnoticed"
        )
    found = config_digests(directory)
    for name in sorted({*began_with, *found}):
        path = directory.config_dir / name
        if name not in found:
            raise InputError(f"{path}: missing; the run began with it")
        if name not in began_with:
            raise InputError(f"{path}: the run began without it, expected no such file")
        if found[name] != began_with[name]:
            raise InputError(
                f"{path}: was changed since the run began (found SHA-256 {found[name][:12]}…, expected "
                f"{began_with[name][:12]}…): agents could not take up their places; begin a new run"
            )
