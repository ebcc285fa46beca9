"""Which importers there are, and which one a file is for."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points

from runtime.errors import InputError
from runtime.imports.series import Importer, RawSeries
from runtime.imports.source import Options, SourceFile

GROUP = "peerwatt.importers"
"""Group of entry points of importers from elsewhere; each names a class as ``series.Importer``."""

BUILT_IN = {
    "enedis": "runtime.imports.enedis:Enedis",
    "solcast": "runtime.imports.solcast:Solcast",
    "open-meteo": "runtime.imports.open_meteo:OpenMeteo",
    "pvgis": "runtime.imports.pvgis:Pvgis",
    "entsoe": "runtime.imports.entsoe:Entsoe",
    "entsoe-xml": "runtime.imports.entsoe_xml:EntsoeXml",
    "ember": "runtime.imports.ember:Ember",
    "smard": "runtime.imports.smard:Smard",
    "csv": "runtime.imports.columns:Columns",
}
"""By kind, the class."""


def importers() -> dict[str, Importer]:
    """All importers by kind: the built-in ones, then the installed."""
    found: dict[str, Importer] = {}
    for kind, where in BUILT_IN.items():
        module, _, name = where.partition(":")
        found[kind] = getattr(import_module(module), name)()
    for point in entry_points(group=GROUP):
        if point.name not in found:
            found[point.name] = point.load()()
    return found


def importer_for(file: SourceFile, kind: str | None) -> tuple[Importer, str]:
    """The importer for a file, and why.

    Args:
        file: the file.
        kind: what the person says it is; None: told by its content.

    Raises:
        InputError: no such kind; or nothing, or more than one kind, recognises the file.
    """
    known = importers()
    if kind is not None:
        if kind not in known:
            raise InputError(f"--as: found {kind!r}, expected one of {', '.join(known)}")
        return known[kind], "as told by --as"
    reasons = {name: why for name, each in known.items() if (why := each.recognise(file)) is not None}
    if len(reasons) == 1:
        name, why = next(iter(reasons.items()))
        return known[name], why
    if reasons:
        found = "; ".join(f"{name} ({why})" for name, why in reasons.items())
        raise InputError(f"{file.path}: found signs of more than one kind: {found}; say which with --as")
    first = next(line for line in file.lines if line.strip())
    names = first.split(max(";,\t|", key=first.count))
    columns = f" --time {names[0].strip()!r} --column {names[1].strip()!r}" if len(names) > 1 else ""
    raise InputError(
        f"{file.path}: found {first[:80]!r} at its start, expected a file of a known kind; say which with "
        f"--as: {', '.join(known)}; a table with a header is --as csv{columns[:120]} and --zone"
    )


def read_series(importer: Importer, file: SourceFile, options: Options) -> list[RawSeries]:
    """What an importer reads of a file.

    Raises:
        InputError: as the importer's, or an option that it does not heed.
    """
    for option in fields(options):
        given = getattr(options, option.name)
        if given and option.name != "zone" and option.name not in importer.takes:
            name = f"--{option.name.replace('_', '-')}"
            taken = ", ".join(f"--{each.replace('_', '-')}" for each in sorted(importer.takes)) or "none"
            raise InputError(f"{name}: found {given!r} with {importer.kind}, which takes {taken} and --zone")
    return importer.read(file, options)
