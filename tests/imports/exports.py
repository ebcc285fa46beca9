"""Files in the forms in which portals and services export them, and the command that imports them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from runtime.cli import main

PARIS, BERLIN = ZoneInfo("Europe/Paris"), ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2024, 3, 31), datetime(2024, 10, 27)


class Import:
    """Runs ``peerwatt import`` in a folder, as from a shell."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        monkeypatch.chdir(folder)

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        self._monkeypatch.setattr(sys, "argv", ["peerwatt", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def file(self, name: str, content: str, encoding: str = "utf-8") -> str:
        (self.folder / name).write_bytes(content.encode(encoding))
        return name

    def reports(self, *arguments: object) -> list[dict[str, Any]]:
        code, out, err = self.run("import", *arguments, "--json")
        assert code == 0, err
        found: list[dict[str, Any]] = json.loads(out)
        return found

    def report(self, *arguments: object) -> dict[str, Any]:
        found = self.reports(*arguments)
        assert len(found) == 1
        return found[0]

    def refusal(self, *arguments: object) -> str:
        before = sorted(self.folder.iterdir())
        code, _, err = self.run("import", *arguments)
        assert code == 2, err
        assert err.startswith("error: ")
        assert sorted(self.folder.iterdir()) == before
        return err


def rows_of(path: Path) -> list[tuple[str, str]]:
    """Stamp and value of each row written."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [(line.split(",")[0], line.split(",")[1]) for line in lines]


def day_starts(day: datetime, zone: ZoneInfo, minutes: int) -> list[datetime]:
    """Starts of the periods of a local day, in UTC."""
    at = day.replace(tzinfo=zone).astimezone(UTC)
    end = (day + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
    starts = []
    while at < end:
        starts.append(at)
        at += timedelta(minutes=minutes)
    return starts


Value = Callable[[int], str]


def linky(
    day: datetime,
    minutes: int = 30,
    value: Value = lambda row: str(200 + row),
    unit: str = "W",
    kind: str = "Courbe de charge",
    way: str = "Consommation",
) -> str:
    """A load curve of one local day, as in the customer's account."""
    ends = [at + timedelta(minutes=minutes) for at in day_starts(day, PARIS, minutes)]
    rows = [f"{end.astimezone(PARIS).isoformat()};{value(row)}" for row, end in enumerate(ends)]
    head = "Identifiant PRM;Type de donnees;Date de debut;Date de fin;Grandeur physique;Grandeur metier;"
    about = f"00000000000000;{kind};{day:%d/%m/%Y};{day:%d/%m/%Y};Energie active;{way};"
    about += f"Comptage Brut;{unit};{minutes}"
    lines = [f"{head}Etape metier;Unite;Pas en minutes", about, "Horodate;Valeur", *rows]
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def smard(day: datetime, minutes: int, value: Value, name: str = "Deutschland/Luxemburg") -> str:
    """Prices of one German day."""
    rows = []
    for row, at in enumerate(day_starts(day, BERLIN, minutes)):
        start, end = at.astimezone(BERLIN), (at + timedelta(minutes=minutes)).astimezone(BERLIN)
        rows.append(f"{start:%d.%m.%Y %H:%M};{end:%d.%m.%Y %H:%M};{value(row)};1,00")
    head = f"Datum von;Datum bis;{name} [€/MWh] Originalauflösungen;Frankreich [€/MWh] Originalauflösungen"
    return "\ufeff" + "\n".join([head, *rows]) + "\n"


def entsoe(day: datetime, minutes: int, value: Value, marked: bool = True, area: str = "BZN|FR") -> str:
    """Prices of one day as the platform exports them now."""
    head = '"MTU (CET/CEST)","Area","Sequence","Day-ahead Price (EUR/MWh)","Intraday Period (CET/CEST)"'
    rows = []
    for row, at in enumerate(day_starts(day, PARIS, minutes)):
        ends = (at.astimezone(PARIS), (at + timedelta(minutes=minutes)).astimezone(PARIS))
        texts = [f"{end:%d/%m/%Y %H:%M:%S}" + (f" ({end.tzname()})" if marked else "") for end in ends]
        rows.append(f'"{texts[0]} - {texts[1]}","{area}","Sequence 1","{value(row)}",""')
    return "\n".join([head, *rows]) + "\n"


def a44(
    periods: Sequence[tuple[str, str, str, Sequence[tuple[int, float]]]],
    curve: str = "A03",
    currency: str = "EUR",
) -> str:
    """A document of the platform's API: periods of start, end, resolution and points."""
    series = "".join(
        f"""<TimeSeries><mRID>{at}</mRID><businessType>A62</businessType>
        <in_Domain.mRID codingScheme="A01">10YFR-RTE------C</in_Domain.mRID>
        <currency_Unit.name>{currency}</currency_Unit.name><price_Measure_Unit.name>MWH</price_Measure_Unit.name>
        <curveType>{curve}</curveType><Period><timeInterval><start>{start}</start><end>{end}</end></timeInterval>
        <resolution>{resolution}</resolution>"""
        + "".join(
            f"<Point><position>{position}</position><price.amount>{price}</price.amount></Point>"
            for position, price in points
        )
        + "</Period></TimeSeries>"
        for at, (start, end, resolution, points) in enumerate(periods, start=1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Publication_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"><mRID>1</mRID><type>A44</type>'
        f"{series}</Publication_MarketDocument>"
    )


def sun(hour_utc: float, longitude_deg: float = 0.0) -> float:
    """Irradiance [W/m²] that is greatest at the place's noon."""
    return max(0.0, 600.0 * (1 - ((hour_utc + longitude_deg / 15 - 12) / 6) ** 2))


def open_meteo(days: int, offset_s: int, longitude: float = 2.0, unit: str = "W/m²") -> str:
    """Hourly irradiance in the form of the service's CSV, true to the sun of the longitude."""
    rows = []
    for hour in range(24 * days):
        end_utc = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(hours=hour)
        middle = (end_utc.hour - 0.5) % 24
        local = end_utc + timedelta(seconds=offset_s)
        rows.append(f"{local:%Y-%m-%dT%H:%M},{15 + hour % 7},{sun(middle, longitude):.1f}")
    return (
        "latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n"
        f"47.75,{longitude},38.0,{offset_s},Europe/Paris,GMT+{offset_s // 3600}\n\n"
        f"time,temperature_2m (°C),shortwave_radiation ({unit})\n" + "\n".join(rows) + "\n"
    )


def pvgis_csv(power: bool = False, slope: int = 0) -> str:
    """Hourly data of one day."""
    names = "time,P,G(i),H_sun,T2m,WS10m,Int" if power else "time,G(i),H_sun,T2m,WS10m,Int"
    rows = [
        f"20160101:{hour:02d}10,"
        + (f"{hour * 10}.0," if power else "")
        + f"{sun(hour + 1 / 6):.2f},0.0,8.1,2.0,0.0"
        for hour in range(24)
    ]
    return "\r\n".join(
        [
            "Latitude (decimal degrees):\t47.748",
            "Longitude (decimal degrees):\t-3.366",
            "Elevation (m):\t20",
            "Radiation database:\tPVGIS-SARAH2",
            "",
            "",
            f"Slope: {slope} deg. ",
            "Azimuth: 0 deg. ",
            names,
            *rows,
            "",
            "G(i): Global irradiance on the inclined plane (plane of the array) (W/m2)",
            "PVGIS (c) European Union, 2001-2024",
        ]
    )
