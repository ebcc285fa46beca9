"""Enedis: the load curve of a Linky meter as the customer's account gives it.

A byte-order mark, ``;`` between columns, a line of names and one of values (``Identifiant PRM; Type de
donnees; Date de debut; Date de fin; Grandeur physique; Grandeur metier; Etape metier; Unite; Pas en
minutes``), then ``Horodate;Valeur`` with one row a period: ``2020-08-20T23:40:00+02:00;270``. A value is
the mean power [W] over the period that ends at its stamp; a newer form says so in its header (``horodate
ISO fin de pas;puissance moyenne (W)``). Rows of the flat form (SGE, R63: all of it in every row) do not say
which end: that needs ``--label``.

Source: files of the customer account ("Mes mesures"), and Enedis, "Catalogue des données" at
https://datahub-enedis.fr ("Courbe de consommation": mean power in each of the meter's intervals).
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from runtime.conventions import ConventionError, PeriodLabel, Unit, unit_of
from runtime.errors import InputError
from runtime.imports.series import Quantity, RawSeries
from runtime.imports.source import Options, SourceFile, decimal_mark, iso_stamp, no_unit, number, table

HEADER_WITHIN = 40
"""Lines in which the header of the values must come."""

REFUSED = {
    "index": "meter indexes",
    "puissance maximale": "daily maxima of power",
    "puissances maximales": "daily maxima of power",
    "quotidien": "daily energies",
    "reactive": "reactive energy",
}
"""Words of the data's description, and what they say that it is instead of a load curve."""


class Enedis:
    """Load curve (courbe de charge)."""

    kind = "enedis"
    title = "Enedis/Linky load curve (CSV)"
    takes = frozenset({"column", "unit", "label", "decimal", "select"})

    def recognise(self, file: SourceFile) -> str | None:
        """By the column of stamps or the identifier of the delivery point."""
        header = _header_line(file)
        if header is not None:
            return (
                f"line {header + 1} has the column {file.lines[header].split(';')[_time_at(file, header)]!r}"
            )
        if any("identifiant prm" in _plain(line) for line in file.lines[:HEADER_WITHIN]):
            return "it has an 'Identifiant PRM'"
        return None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The load curve, or the curve of production."""
        header = _header_line(file)
        about = _about(file, header if header is not None else HEADER_WITHIN)
        for word, what in REFUSED.items():
            if any(word in _plain(value) for value in about.values()):
                raise InputError(f"{file.path}: found {what}, expected a load curve (Courbe de charge)")
        if header is None:
            raise InputError(f"{file.path}: found no column 'Horodate', expected a load curve's")
        rows = table(file, ";", header).selected(options.select)
        names = {_plain(name): name for name in rows.header}
        for name, header_name in names.items():
            if name in ("identifiant prm", "grandeur metier", "grandeur physique", "unite", "etape metier"):
                about[name] = rows.sole(header_name) or ""
        time = rows.header[_time_at(file, header)]
        value = options.column or _value_column(names, file)
        places = rows.places()
        cells = rows.cells(value)
        decimal = options.decimal or decimal_mark(cells)
        label, why = _label(_plain(time), flat="identifiant prm" in names, asked=options.label, file=file)
        unit = options.unit or _unit(about, value, file)
        quantity: Quantity = "pv" if re.search("production|injection", _plain(str(about))) else "load"
        doubts = []
        if "injection" in _plain(str(about)):
            doubts.append("what was fed in, which is production less what was used at once")
        stated = about.get("pas en minutes", "")
        return [
            RawSeries(
                quantity=quantity,
                column=value,
                unit=unit,
                label=label,
                stamps=[iso_stamp(text, at, time) for text, at in zip(rows.cells(time), places, strict=True)],
                values=np.array([number(c, decimal, at, value) for c, at in zip(cells, places, strict=True)]),
                places=places,
                stamp_zone="Europe/Paris",
                day_zone=options.zone or "Europe/Paris",
                understood=[why, *([f"step as stated: {stated} min"] if stated else [])],
                doubts=doubts,
            )
        ]


def _plain(text: str) -> str:
    """Lower case without accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip().strip('"').lower()


def _header_line(file: SourceFile) -> int | None:
    for at, line in enumerate(file.lines[:HEADER_WITHIN]):
        if ";" in line and any(_plain(cell).startswith("horodate") for cell in line.split(";")):
            return at
    return None


def _time_at(file: SourceFile, header: int) -> int:
    cells = [_plain(cell) for cell in file.lines[header].split(";")]
    return next(at for at, cell in enumerate(cells) if cell.startswith("horodate"))


def _about(file: SourceFile, header: int) -> dict[str, str]:
    """The description above the values: its names and values, plain names as keys."""
    lines = [line for line in file.lines[:header] if line.strip()]
    if len(lines) < 2:
        return {}
    names, values = lines[0].split(";"), lines[1].split(";")
    return {_plain(name): value.strip() for name, value in zip(names, values, strict=False) if name.strip()}


def _value_column(names: dict[str, str], file: SourceFile) -> str:
    for plain, name in names.items():
        if plain.startswith(("valeur", "puissance")):
            return name
    raise InputError(f"{file.path}: found columns {', '.join(names.values())}, expected 'Valeur'")


def _label(time: str, flat: bool, asked: PeriodLabel | None, file: SourceFile) -> tuple[PeriodLabel, str]:
    if asked is not None:
        return asked, f"stamps name the {asked} of their period, as told by --label"
    if "debut" in time:
        return "start", "stamps name the start of their period, as the header says"
    if "fin" in time:
        return "end", "stamps name the end of their period, as the header says"
    if flat:
        raise InputError(
            f"{file.path}: found rows that each name their delivery point (SGE, R63), of which it is "
            "not known "
            "whether a stamp is the start or the end of its period; expected --label start or --label end"
        )
    return "end", "stamps name the end of their period, as Enedis defines it"


def _unit(about: dict[str, str], value: str, file: SourceFile) -> Unit:
    within = re.search(r"\(.*?(\w+)\)", value)
    written = about.get("unite") or (within.group(1) if within else "")
    if not written:
        raise InputError(f"{file.path}: Unite: found nothing, expected W, kW, Wh or kWh; say it with --unit")
    try:
        unit = unit_of(written)
    except ConventionError as error:
        raise no_unit(error, f"{file.path}: Unite") from error
    if unit not in ("W", "kW", "Wh", "kWh"):
        raise InputError(f"{file.path}: Unite: found {written!r}, expected W, kW, Wh or kWh")
    return unit
