"""A comparison over a reference set: every mechanism on every community that was chosen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime.comparison.cases import Case, comparable_mechanisms, market_case
from runtime.dataset.check import file_problems
from runtime.dataset.choice import parts_among
from runtime.dataset.manifest import Community, Manifest
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.mechanisms import check_mechanism
from runtime.scenario.resolve import resolve

SET_FILE = "set.json"
"""In a comparison's folder: which set it is on, so that it is resumed on no other."""


def choose_communities(
    manifest: Manifest,
    places: str | None = None,
    seasons: str | None = None,
    sizes: str | None = None,
    tariffs: str | None = None,
    limit: int | None = None,
) -> list[Community]:
    """Some of a set's communities, in its order.

    Args:
        manifest: the set's.
        places: keys with commas between; None for all.
        seasons: likewise.
        sizes: likewise.
        tariffs: likewise.
        limit: at most so many of these: a mixed sample, the same every time, that holds every smaller one.

    Raises:
        InputError: something that the set does not have, or a limit below 1.
    """
    there = manifest.communities

    def known(values: list[str]) -> list[str]:
        return list(dict.fromkeys(values))

    chosen = {
        "place": parts_among("--places", places, known([each.place for each in there])),
        "season": parts_among("--seasons", seasons, known([each.season for each in there])),
        "size": parts_among("--sizes", sizes, known([str(each.size) for each in there])),
        "tariff": parts_among("--tariffs", tariffs, known([each.tariff for each in there])),
    }
    found = [each for each in there if all(str(getattr(each, key)) in parts for key, parts in chosen.items())]
    if not found:
        raise InputError("the set has no community of these places, seasons, sizes and tariffs")
    if limit is None:
        return found
    if limit < 1:
        raise InputError(f"--limit: found {limit}, expected 1 or more")
    mixed = sorted(found, key=lambda each: hashlib.sha256(each.key.encode()).hexdigest())
    kept = {each.key for each in mixed[:limit]}
    return [each for each in found if each.key in kept]


def set_cases(
    folder: Path, communities: Sequence[Community], mechanisms: Sequence[str] | None
) -> list[tuple[Community, Case]]:
    """One case for every community and mechanism, community after community.

    Args:
        folder: the set's.
        communities: of it.
        mechanisms: names; None for all that are installed.

    Raises:
        InputError: no such mechanism, one named twice, or a community whose files are not as they were made.
    """
    names = list(mechanisms) if mechanisms is not None else comparable_mechanisms()
    if not names:
        raise InputError("--mechanisms: found none, expected at least one")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--mechanisms: found {name!r} twice, expected each once")
        check_mechanism(name, {}, "--mechanisms")
    cases = []
    for community in communities:
        problems = file_problems(folder, community)
        if problems:
            raise InputError(f"{folder}: {problems[0]}; a set is compared on as it was made")
        resolved = replace(resolve(folder / community.scenario), name=community.key)
        cases += [(community, market_case(f"{community.key}/{name}", resolved, name)) for name in names]
    return cases


def claim(folder: Path, manifest: Manifest, sha256: str) -> None:
    """Say in a comparison's folder which set it is on.

    Args:
        folder: of the comparison, new or resumed.
        manifest: the set's.
        sha256: digest of the manifest's file.

    Raises:
        InputError: the folder to be resumed holds no comparison on a set, or one on another set.
    """
    path = folder / SET_FILE
    mine = {"name": manifest.name, "version": manifest.version, "seed": manifest.seed, "sha256": sha256}
    if not folder.is_dir():
        raise InputError(f"--resume: found no folder {folder}, expected that of a comparison on a set")
    if not path.is_file():
        if any(folder.iterdir()):
            raise InputError(f"--resume: {folder} holds no comparison on a set (no {SET_FILE})")
        write_text_atomically(path, json.dumps(mine, indent=1) + "\n")
        return
    there = json.loads(path.read_text("utf-8"))
    if there != mine:
        raise InputError(
            f"--resume: {folder} was on another set: found version {there.get('version')} of seed "
            f"{there.get('seed')}, expected the one with SHA-256 {sha256[:12]}…"
        )
