"""A comparison as plain files: CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from runtime.comparison.sheet import Sheet, Way
from runtime.files import write_text_atomically


def write_tables(folder: Path, sheet: Sheet) -> list[Path]:
    """Write ``comparison.csv``, ``members.csv``, ``sweeps.csv`` where there are any, and ``comparison.json``.

    Args:
        folder: the comparison's folder.
        sheet: what was compared.

    Returns:
        The files.
    """
    files = [
        write_csv(folder / "comparison.csv", _community_rows(sheet.done)),
        write_csv(folder / "members.csv", _member_rows(sheet.done)),
    ]
    if sheet.sweeps:
        swept = [way for way in sheet.sweeps if way.failure is None]
        files.append(write_csv(folder / "sweeps.csv", _sweep_rows(swept)))
    path = folder / "comparison.json"
    write_text_atomically(path, sheet.model_dump_json(indent=1) + "\n")
    return [*files, path]


def _community_rows(ways: list[Way]) -> list[Sequence[object]]:
    keys = list(dict.fromkeys(key for way in ways for key in way.community))
    body = [[key, *(way.community.get(key) for way in ways)] for key in keys]
    return [["indicator", *(way.key for way in ways)], *body]


def _member_rows(ways: list[Way]) -> list[Sequence[object]]:
    keys = list(dict.fromkeys(key for way in ways for values in way.members.values() for key in values))
    body = [
        [way.key, member, *(values.get(key) for key in keys)]
        for way in ways
        for member, values in way.members.items()
    ]
    return [["way", "member", *keys], *body]


def _sweep_rows(ways: list[Way]) -> list[Sequence[object]]:
    keys = list(dict.fromkeys(key for way in ways for key in way.community))
    body = [[*(way.sweep or ()), way.title, *(way.community.get(key) for key in keys)] for way in ways]
    return [["varied", "value", "way", *keys], *body]


def write_csv(path: Path, rows: list[Sequence[object]]) -> Path:
    """Write rows as CSV; returns the path."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text_atomically(path, text.getvalue())
    return path
