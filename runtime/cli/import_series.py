"""``peerwatt import``: files that portals and services export, to series that a scenario reads."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from runtime.errors import InputError
from runtime.wording import counted

MOST_GAPS_SHOWN = 8


def import_series(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="What a portal exported.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="enedis, solcast, open-meteo, pvgis, entsoe, entsoe-xml, ember, smard, csv, or one that "
            "is installed; without it told by the content.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Start of the written name, instead of the file's.")
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Make one series of several files.")] = False,
    fill_min: Annotated[
        float, typer.Option("--fill-gaps-up-to", min=0, help="Interpolate gaps up to so many minutes.")
    ] = 0,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", help="Header of the values, or a part of it; several for a series each."),
    ] = None,
    time: Annotated[
        list[str] | None, typer.Option("--time", help="csv: header of the stamps; twice for date and time.")
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option("--time-format", help="csv: as in strptime, such as '%d-%m-%Y %H:%M'."),
    ] = None,
    day: Annotated[str | None, typer.Option("--date", help="csv: day of stamps that have none.")] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", help="W, kW, Wh, kWh, W/m2, EUR/MWh, …"),
    ] = None,
    quantity: Annotated[
        str | None, typer.Option("--quantity", help="csv: pv, where a power is no load.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Whether stamps name the start, end or centre of periods.")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option("--zone", help="Zone of stamps without offset where the format does not say."),
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option("--select", help="COLUMN=VALUE: only rows that have it.")
    ] = None,
    separator: Annotated[str | None, typer.Option("--separator", help="csv: between columns.")] = None,
    decimal: Annotated[str | None, typer.Option("--decimal", help="'.' or ','.")] = None,
    skip_lines: Annotated[
        int | None, typer.Option("--skip-lines", min=0, help="csv: lines before the header.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is understood; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Turn files of meters, weather services and markets into series for a scenario."""
    from runtime.conventions import PeriodLabel
    from runtime.imports.output import csv_text, describe, snippet, write_new
    from runtime.imports.registry import importer_for, read_series
    from runtime.imports.regular import regular_series
    from runtime.imports.series import RawSeries
    from runtime.imports.source import Options, open_source

    options = Options(
        time=tuple(time or ()),
        time_format=time_format,
        date=day,
        unit=_unit(unit),
        label=cast(PeriodLabel | None, _one_of("--label", label, get_args(PeriodLabel))),
        zone=_zone(zone),
        separator=_separator(separator),
        decimal=_one_of("--decimal", decimal, (".", ",")),
        skip_lines=skip_lines,
        select=_selection(select or []),
        quantity=quantity,
    )
    wanted: list[str | None] = [*columns] if columns else [None]
    several = len(wanted) > 1
    if several and join:
        raise InputError(f"--join: found {len(wanted)} columns, expected one --column")
    groups: list[tuple[str, list[dict[str, Any]], list[RawSeries]]] = []
    for path in files:
        source = open_source(path)
        importer, why = importer_for(source, kind)
        read = [
            (each, column)
            for column in wanted
            for each in read_series(importer, source, replace(options, column=column))
        ]
        about = {"file": str(path), "sha256": source.sha256, "encoding": source.encoding}
        about |= {"kind": importer.kind, "recognised_by": why}
        for raw, column in read:
            same = [group for group in groups if join and group[2][0].quantity == raw.quantity]
            if same:
                same[0][1].append(about)
                same[0][2].append(raw)
            else:
                stem = name or path.stem or path.name
                groups.append((f"{stem}-{slug(column)}" if column and several else stem, [about], [raw]))
        if join and len(read) != len(groups):
            raise InputError(f"{path}: --join: found {read[0][0].quantity}, expected as in {files[0]}")
    reports: list[dict[str, Any]] = []
    texts: list[tuple[Path, str]] = []
    for stem, sources, parts in groups:
        series = regular_series(parts, fill_min)
        target = out / f"{stem}-{series.quantity}.csv"
        if any(target == other for other, _ in texts):
            raise InputError(f"{target}: found two series of this name, expected one; import them one by one")
        texts.append((target, csv_text(series)))
        report = {"sources": sources, "written": None if dry_run else str(target), **describe(series)}
        reports.append(report | {"scenario": snippet(series, target.name)})
    if not dry_run:
        write_new(texts)
    if as_json:
        typer.echo(json.dumps(reports, indent=1))
    else:
        for report in reports:
            typer.echo(_text(report))


def slug(words: str) -> str:
    """Words as a part of a file's, or a member's, name: ``École (kW)`` is ``ecole``."""
    bare = unicodedata.normalize("NFKD", re.sub(r"[(\[].*", "", words)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-") or "column"


def _text(report: dict[str, Any]) -> str:
    """A report as lines of text."""
    kinds = "; ".join(
        f"{each['file']}: {each['kind']}, {each['recognised_by']} ({each['encoding']})"
        for each in report["sources"]
    )
    unit = report["unit_written"]
    sums = f", together {report['energy_kwh']:.6g} kWh" if "energy_kwh" in report else ""
    lines = [
        kinds,
        f"  {report['quantity']} from column {report['column']!r}: {report['unit_found']}, written as "
        f"mean {unit}",
        f"  {report['first']} to {report['end']}, days of {report['zone']}, stamps name the "
        f"{report['stamps_name']} of "
        "their period",
        f"  step {report['step_minutes']:g} min"
        + (f" (rows of {_counts(report['steps_found'])})" if len(report["steps_found"]) > 1 else "")
        + f", {counted(report['values'], 'value')} of {counted(report['rows'], 'row')}, "
        + counted(report["duplicate_rows"], "duplicate row"),
        f"  {report['least']:.6g} to {report['greatest']:.6g} {unit}, mean {report['mean']:.6g}{sums}",
    ]
    lines += [f"  {words}" for words in report["understood"]]
    lines += _gap_lines(report)
    for change in report["clock_changes"]:
        lines.append(
            f"  clocks change on {change['day']}: {change['hours']:g} h, {change['values']} of "
            f"{change['values_expected']:g} values"
        )
    days = report["complete_days"]
    lines.append(
        f"  {days['count']} complete days"
        + (
            f", {days['longest_run']} of them running from {days['longest_run_first']} to "
            f"{days['longest_run_last']}"
            if days["count"]
            else ""
        )
    )
    lines += [f"  doubtful: {words}" for words in report["doubts"]]
    lines.append(f"  wrote {report['written']}" if report["written"] else "  nothing written")
    return "\n".join([*lines, "", report["scenario"]])


def _counts(steps: dict[str, int]) -> str:
    return ", ".join(f"{size}: {rows}" for size, rows in steps.items())


def _gap_lines(report: dict[str, Any]) -> list[str]:
    gaps = report["gaps"]
    if not gaps:
        return ["  no gaps"]
    lines = [
        f"  {counted(len(gaps), 'gap')}: {counted(report['values_missing'], 'value')} missing, "
        f"{report['values_filled']} interpolated"
    ]
    longest = sorted(gaps, key=lambda gap: -gap["minutes"])[:MOST_GAPS_SHOWN]
    for gap in sorted(longest, key=lambda gap: gap["start"]):
        done = "interpolated" if gap["filled"] else "left"
        lines.append(f"    {gap['start']} to {gap['end']} ({gap['minutes']:g} min, {done})")
    if len(gaps) > MOST_GAPS_SHOWN:
        lines.append(f"    and {len(gaps) - MOST_GAPS_SHOWN} shorter ones (--json has all)")
    return lines


def _unit(text: str | None) -> Any:  # noqa: ANN401 - runtime.conventions.Unit, imported when needed
    from runtime.conventions import ConventionError, unit_of

    try:
        return None if text is None else unit_of(text)
    except ConventionError as error:
        raise InputError(f"--unit: {error}") from error


def _zone(text: str | None) -> str | None:
    from zoneinfo import ZoneInfo

    try:
        return None if text is None else ZoneInfo(text).key
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"--zone: found {text!r}, expected an IANA zone such as Europe/Paris") from error


def _one_of(option: str, text: str | None, known: tuple[str, ...]) -> str | None:
    if text is not None and text not in known:
        raise InputError(f"{option}: found {text!r}, expected one of {', '.join(known)}")
    return text


def _separator(text: str | None) -> str | None:
    given = "\t" if text in ("tab", "\\t") else text
    if given is not None and len(given) != 1:
        raise InputError(f"--separator: found {text!r}, expected one character, or tab")
    return given


def _selection(texts: list[str]) -> dict[str, str]:
    selection = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--select: found {text!r}, expected COLUMN=VALUE")
        selection[name.strip()] = value.strip()
    return selection
