"""Checks a reference set: every file as it was made, nothing added, every scenario ready to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.dataset.manifest import MANIFEST, Community, Manifest, file_entry, read_manifest
from runtime.errors import InputError
from runtime.scenario.resolve import resolve


def check_dataset(
    folder: Path, on_checked: Callable[[str], None] = lambda key: None
) -> tuple[Manifest, list[str]]:
    """Check a set.

    Args:
        folder: the set's.
        on_checked: told the key of every community checked.

    Returns:
        The manifest, and what is wrong, each naming its file; empty where all is well.

    Raises:
        InputError: there is no manifest, or it is none.
    """
    manifest, _ = read_manifest(folder)
    problems = []
    listed = {entry.path for entry in manifest.all_files()} | {MANIFEST}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    problems += [f"{path}: found a file that the manifest does not list" for path in sorted(found - listed)]
    for entry in manifest.files:
        problems += _file_problems(folder, entry.path, entry.bytes, entry.sha256)
    for community in manifest.communities:
        problems += _community_problems(folder, community)
        on_checked(community.key)
    return manifest, problems


def file_problems(folder: Path, community: Community) -> list[str]:
    """What is wrong with a community's files, each naming its file; empty where all is well."""
    return [
        problem
        for entry in community.files
        for problem in _file_problems(folder, entry.path, entry.bytes, entry.sha256)
    ]


def _file_problems(folder: Path, path: str, size: int, sha256: str) -> list[str]:
    if not (folder / path).is_file():
        return [f"{path}: found no file, expected one of {size} bytes"]
    there = file_entry(folder, folder / path)
    if there.bytes != size:
        return [f"{path}: found {there.bytes} bytes, expected {size}"]
    if there.sha256 != sha256:
        return [f"{path}: found SHA-256 {there.sha256[:12]}…, expected {sha256[:12]}…"]
    return []


def _community_problems(folder: Path, community: Community) -> list[str]:
    problems = file_problems(folder, community)
    if problems:
        return problems
    try:
        resolved = resolve(folder / community.scenario)
    except InputError as error:
        return [str(error)]
    days = [f"{horizon.local(0):%Y-%m-%d}" for horizon in resolved.horizons]
    if resolved.members != community.members or days != community.days:
        return [f"{community.scenario}: found other members or days than the manifest lists"]
    return []
