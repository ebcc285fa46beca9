"""ENTSO-E transparency platform: day-ahead prices as the API's XML (document type A44).

``Publication_MarketDocument`` of time series of periods: ``timeInterval`` in UTC, ``resolution``
(``PT60M``, ``PT15M``) and points by ``position`` from 1 on. With curve type ``A03`` a point that is left
out is as the one before it, with ``A01`` it is missing. Several areas, resolutions or auctions at the same
time need ``--select``, of ``in_Domain``, ``resolution`` or ``sequence``.

Source: ENTSO-E, "Transparency Platform restful API: user guide" (4.2.10 Day Ahead Prices [12.1.D]) and IEC
62325-451-3; on A03: ENTSO-E, "Introduction of different TimeSeries possibilities (curvetypes)".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np

from runtime.conventions import ConventionError, Unit, unit_of
from runtime.errors import InputError
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile, duration_s, iso_stamp, no_unit, number

SEQUENCE = "classificationSequence_AttributeInstanceComponent.position"
CHOICES = ("in_Domain", "sequence", "resolution")


class EntsoeXml:
    """Day-ahead prices, XML."""

    kind = "entsoe-xml"
    title = "ENTSO-E day-ahead prices (XML, document A44)"
    takes = frozenset({"select"})

    def recognise(self, file: SourceFile) -> str | None:
        """By the root element."""
        return "its root is a MarketDocument" if "_MarketDocument" in file.text[:2000] else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        """The prices of one area, auction and resolution."""
        root = _root(file)
        if wrong := sorted(set(options.select) - set(CHOICES)):
            raise InputError(f"--select: found {wrong[0]!r}, expected one of {', '.join(CHOICES)}")
        units, found = set(), {choice: set[str]() for choice in CHOICES}
        stamps: list[datetime] = []
        values: list[float] = []
        lengths: list[int] = []
        places: list[str] = []
        for number_of_series, series in enumerate(root.iterfind("{*}TimeSeries"), start=1):
            of_series = {
                "in_Domain": _text(series, "in_Domain.mRID") or "unnamed",
                "sequence": _text(series, SEQUENCE) or "1",
            }
            for number_of_period, period in enumerate(series.iterfind("{*}Period"), start=1):
                place = f"{file.path}: TimeSeries {number_of_series}, Period {number_of_period}"
                has = {**of_series, "resolution": _needed(period, "resolution", place)}
                if any(has[choice] != value for choice, value in options.select.items()):
                    continue
                for choice in CHOICES:
                    found[choice].add(has[choice])
                units.add((_text(series, "currency_Unit.name"), _text(series, "price_Measure_Unit.name")))
                length_s, start, prices = _period(period, _text(series, "curveType") or "A01", place)
                for position, price in enumerate(prices):
                    stamps.append(start + timedelta(seconds=position * length_s))
                    values.append(price)
                    lengths.append(length_s)
                    places.append(f"{place}, Point {position + 1}")
        if not stamps:
            chosen = f" with {options.select}" if options.select else ""
            raise InputError(f"{file.path}: found no TimeSeries{chosen}, expected one or more")
        for choice in ("in_Domain", "sequence"):
            if len(found[choice]) > 1:
                raise InputError(_several(file, choice, found[choice]))
        if len(found["resolution"]) > 1 and _overlap(stamps, lengths):
            raise InputError(_several(file, "resolution", found["resolution"]))
        return [
            RawSeries(
                quantity="price",
                column="price.amount",
                unit=_unit(file, units),
                label="start",
                stamps=stamps,
                values=np.array(values),
                places=places,
                stamp_zone="UTC",
                day_zone=options.zone or "UTC",
                lengths_s=np.array(lengths, dtype=np.int64),
                understood=[f"area {found['in_Domain'].pop()}", "points of intervals in UTC"],
            )
        ]


def _root(file: SourceFile) -> ElementTree.Element:
    if "<!DOCTYPE" in file.text or "<!ENTITY" in file.text:
        raise InputError(f"{file.path}: found a document type declaration, expected plain XML")
    try:
        root = ElementTree.fromstring(file.text.encode("utf-8") if file.encoding == "utf-8" else file.text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{file.path}: found broken XML ({error}), expected a whole document") from error
    name = root.tag.rpartition("}")[2]
    if name == "Acknowledgement_MarketDocument":
        reason = " ".join((_text(root, "Reason/{*}text") or "no reason").split())
        raise InputError(f"{file.path}: found a refusal of the platform ({reason}), expected prices")
    kind = _text(root, "type")
    if name != "Publication_MarketDocument" or kind != "A44":
        raise InputError(f"{file.path}: found a {name} of type {kind}, expected day-ahead prices (A44)")
    return root


def _period(period: ElementTree.Element, curve: str, place: str) -> tuple[int, datetime, list[float]]:
    """Length of a point [s], the first's start, and all prices, NaN where there is none."""
    length_s = duration_s(_needed(period, "resolution", place), place)
    start, end = (
        iso_stamp(_needed(period, f"timeInterval/{{*}}{edge}", place), place, edge)
        for edge in ("start", "end")
    )
    if start.tzinfo is None or end.tzinfo is None:
        raise InputError(f"{place}, timeInterval: found a time without offset, expected UTC with 'Z'")
    count, rest = divmod(round((end - start).total_seconds()), length_s)
    if curve not in ("A01", "A03") or rest or count < 1:
        raise InputError(
            f"{place}: found curve type {curve} and an interval of {end - start} in steps of "
            f"{length_s / 60:g} min, "
            "expected A01 or A03 and whole steps"
        )
    prices = [float("nan")] * count
    for point in period.iterfind("{*}Point"):
        text = _needed(point, "position", place)
        position = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= position <= count:
            raise InputError(f"{place}, position: found {text!r}, expected 1 to {count}")
        prices[position - 1] = number(_needed(point, "price.amount", place), ".", place, "price.amount")
    if curve == "A03":
        for at in range(1, count):
            if prices[at] != prices[at]:
                prices[at] = prices[at - 1]
    return length_s, start, prices


def _text(element: ElementTree.Element, path: str) -> str | None:
    found = element.find(f"{{*}}{path}")
    return found.text.strip() if found is not None and found.text else None


def _needed(element: ElementTree.Element, path: str, place: str) -> str:
    text = _text(element, path)
    if text is None:
        raise InputError(f"{place}: found no {path.replace('{*}', '')}, expected one")
    return text


def _unit(file: SourceFile, units: set[tuple[str | None, str | None]]) -> Unit:
    written = sorted(f"{currency or 'EUR'}/{energy or 'MWH'}" for currency, energy in units)
    if len(written) > 1:
        raise InputError(f"{file.path}: found prices in {' and '.join(written)}, expected one unit")
    try:
        return unit_of(written[0])
    except ConventionError as error:
        raise no_unit(error, f"{file.path}: currency_Unit.name") from error


def _several(file: SourceFile, choice: str, found: set[str]) -> str:
    return (
        f"{file.path}: {choice}: found {', '.join(sorted(found))}, expected one; "
        f"choose with --select '{choice}={min(found)}'"
    )


def _overlap(stamps: list[datetime], lengths: list[int]) -> bool:
    order = sorted(range(len(stamps)), key=lambda at: stamps[at])
    return any(stamps[a] + timedelta(seconds=lengths[a]) > stamps[b] for a, b in pairwise(order))
