"""Any CSV, what is recognised, what is written, and scenarios made of it."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.conventions import on_regular_grid, period_lengths_s
from runtime.errors import InputError
from runtime.imports import registry
from runtime.imports.output import write_new
from runtime.imports.series import RawSeries
from runtime.imports.source import Options, SourceFile
from tests.imports.exports import Import, entsoe, linky, pvgis_csv, rows_of

DAY = datetime(2024, 6, 18)
MAP = ("--as", "csv", "--time", "t", "--column", "P", "--unit", "kW", "--zone", "Europe/Paris")


def plain(values: list[str], header: str = "t,P") -> str:
    return "\n".join([header, *(f"2024-06-18 {row:02d}:00,{value}" for row, value in enumerate(values))])


def test_a_household_as_measured(peerwatt: Import, lorient_folder: Path) -> None:
    """Local time without offset over both changes of the clocks, nothing measured in the first year."""
    file = lorient_folder / "DonneesEnergyConsometers" / "example.csv"
    columns = ("--time", "date", "--time", "time", "--time-format", "%d-%m-%Y %H:%M", "--column", "powerLoad")
    report = peerwatt.report(file, "--as", "csv", *columns, "--unit", "W", "--zone", "Europe/Paris")
    assert (report["first"], report["end"]) == ("2019-03-12T23:00:00Z", "2020-01-02T23:00:00Z")
    assert (report["rows"], report["values"], report["gaps"]) == (105408, 42624, [])
    assert [(c["hours"], c["values"]) for c in report["clock_changes"]] == [(23, 138), (25, 150)]
    assert report["complete_days"]["longest_run"] == 296
    assert "skip" not in peerwatt.refusal(file)
    assert "--zone" in peerwatt.refusal(file, "--as", "csv", *columns, "--unit", "W")


def test_prices_with_times_of_day_only(peerwatt: Import, lorient_folder: Path) -> None:
    file = lorient_folder / "DonneesEnergyConsometers" / "spotPrice.csv"
    options = ("--as", "csv", "--time", "start", "--date", "2020-01-02", "--zone", "Europe/Paris")
    by_mwh = peerwatt.report(file, *options, "--column", "mwhPrice", "--unit", "€/MWh", "--name", "a")
    by_kwh = peerwatt.report(file, *options, "--column", "kwhPrice", "--unit", "EUR/kWh", "--name", "b")
    assert rows_of(peerwatt.folder / "a-price.csv") == rows_of(peerwatt.folder / "b-price.csv")
    assert by_mwh["values"] == by_kwh["values"] == 144


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (plain(["1", "x", "2"]), MAP, "f.csv: line 3, column 'P': found 'x'"),
        (plain(["1", "2", "3"]) + "\nlater", MAP, "line 5: found 1 columns, expected 2"),
        (plain(["", "", ""]), MAP, "0 of them with a value"),
        (plain(["1"]), MAP, "found 1 row,"),
        (plain(["1", "2"]), MAP[:6], "found column 'P' without a unit, expected also --unit"),
        (plain(["1", "2"]), MAP[:4], "'t', 'P' (separator ','), expected also --column"),
        (plain(["1"], "t,P (kVA)"), MAP[:6], "column 'P (kVA)', or --unit: found the unit 'kVA'"),
        (plain(["1", "2"]), (*MAP, "--column", "P", "--join"), "--join: found 2 columns"),
        ("t,P\n01/02/2024 00:00,1", MAP, "--time-format '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'"),
        ("t,P\n13/02/2024 00:00,1\n02/13/2024 00:00,1", MAP, "line 2, column 't': found '13/02/2024 00:00'"),
        ("t,P\n13/02/2024 00:00,1\n14.02.2024 00:00,1", MAP, "or its form by --time-format"),
        ("t,P\n29/02/2023 00:00,1", MAP, "line 2, column 't': found '29/02/2023 00:00'"),
        (plain(["1", "2"]), (*MAP[:4], "--column", "Q", *MAP[6:]), "'t', 'P', expected one of them as 'Q'"),
        (plain(["1", "2"]), (*MAP[:7], "kVA"), "--unit: found the unit 'kVA'"),
        (plain(["1", "2"]), (*MAP[:9], "Paris"), "--zone: found 'Paris'"),
        (plain(["1", "2"]), (*MAP, "--quantity", "price"), "--quantity: found 'price'"),
        (plain(["1", "2"]), (*MAP, "--label", "middle"), "--label: found 'middle'"),
        (plain(["1", "2"]), (*MAP, "--select", "t"), "expected COLUMN=VALUE"),
        ("t,P\n2024-06-18 00:00,1\n2024-06-18 00:00,2\n2024-06-18 01:00,2", MAP, "two values for one time"),
        ("t,P\n2024-06-18 00:00:07,1\n2024-06-18 00:15:00,2\n2024-06-18 00:30:00,2", MAP, "no common step"),
        ("\n".join(["a,b", "1,2"]), (), "found 'a,b' at its start"),
        ("\n".join(["a;b", "1;2"]), (), "is --as csv --time 'a' --column 'b' and --zone"),
        (plain(["1", "2"]), ("--as", "excel"), "--as: found 'excel', expected one of enedis"),
        (" \n", MAP, "an empty file"),
    ],
)
def test_what_will_not_do_is_refused_and_nothing_written(
    peerwatt: Import, text: str, options: tuple[str, ...], words: str
) -> None:
    file = peerwatt.file("f.csv", text.replace("no common step", ""))
    error = peerwatt.refusal(file, *options)
    assert words in error or (words == "no common step" and "fit no common step" in error), error


def test_binary_files_are_refused_with_what_they_are(peerwatt: Import) -> None:
    (peerwatt.folder / "a.xlsx").write_bytes(b"PK\x03\x04rest")
    (peerwatt.folder / "b.bin").write_bytes(b"\x00\x01\x02")
    assert "Excel" in peerwatt.refusal("a.xlsx")
    assert "no text" in peerwatt.refusal("b.bin")
    assert "cannot be read" in peerwatt.refusal("nowhere.csv")


def test_nothing_is_written_over_and_all_or_nothing(peerwatt: Import) -> None:
    name = peerwatt.file("v.csv", pvgis_csv(power=True))
    peerwatt.file("v-irradiance.csv", "precious")
    assert "v-irradiance.csv: is already there" in peerwatt.refusal(name)
    assert (peerwatt.folder / "v-irradiance.csv").read_text() == "precious"
    assert not (peerwatt.folder / "v-pv.csv").exists()
    assert len(peerwatt.reports(name, "--out", "other")) == 2
    before = sorted(peerwatt.folder.iterdir())
    assert peerwatt.reports(name, "--dry-run")[0]["written"] is None
    assert sorted(peerwatt.folder.iterdir()) == before


def test_a_file_written_goes_again_where_the_next_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_new([(tmp_path / "a.csv", "1"), (tmp_path / "blocked" / "b.csv", "2")])
    assert [path.name for path in tmp_path.iterdir()] == ["blocked"]


def test_doubtful_values_are_told(peerwatt: Import) -> None:
    negative = peerwatt.report(peerwatt.file("n.csv", plain(["-1", "2", "3"])), *MAP)
    assert "1 value below 0" in negative["doubts"][0]
    assert "kW on average" in peerwatt.report(peerwatt.file("h.csv", plain(["5000"] * 24)), *MAP)["doubts"][0]
    still = linky(DAY, 30, lambda row: "5" if row else "4").splitlines()
    still += linky(datetime(2024, 6, 19), 30, lambda row: "5" if row < 40 else "6").splitlines()[3:]
    doubts = peerwatt.report(peerwatt.file("l.csv", "\n".join(still)))["doubts"]
    assert any("0.005 kW without change for 43.5 h" in words for words in doubts)
    once = "t,P\n" + "\n".join(f"2024-10-27 {h:02d}:00,1" for h in range(6))
    doubts = peerwatt.report(peerwatt.file("o.csv", once), *MAP)["doubts"]
    assert "there once, not twice" in doubts[0]


def test_files_of_several_days_are_joined(peerwatt: Import) -> None:
    names = [
        peerwatt.file(f"{day}.csv", linky(datetime(2024, 6, day), 30, lambda _, day=day: f"{day}00"))
        for day in (20, 18, 19)
    ]
    report = peerwatt.report(*names, "--join", "--name", "home")
    assert (report["values"], report["gaps"], report["written"]) == (144, [], "home-load.csv")
    assert report["mean"] == pytest.approx(1.9)
    assert len(report["sources"]) == 3
    price = peerwatt.file("p.csv", entsoe(DAY, 60, lambda _: "5"))
    assert "--join" in peerwatt.refusal(names[0], price, "--join", "--name", "x")


class Mine:
    kind = "mine"
    title = "mine"
    takes = frozenset[str]()

    def recognise(self, file: SourceFile) -> str | None:
        return "the first word" if file.text.startswith("mine") or "Horodate" in file.text else None

    def read(self, file: SourceFile, options: Options) -> list[RawSeries]:
        stamps = [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in range(3)]
        places = [file.at(1)] * 3
        return [RawSeries("load", "x", "kW", "start", stamps, np.arange(3.0), places, "UTC", "UTC")]


def test_importers_from_elsewhere(peerwatt: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", f"{__name__}:Mine", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    report = peerwatt.report(peerwatt.file("a.txt", "mine all mine"))
    assert (report["sources"][0]["kind"], report["greatest"]) == ("mine", 2)
    error = peerwatt.refusal(peerwatt.file("b.csv", linky(DAY)))
    assert "more than one kind: enedis" in error
    assert "mine (the first word)" in error


def test_a_scenario_made_of_imported_files_is_what_they_say(peerwatt: Import) -> None:
    """Round trip: three imports, their snippets pasted into a scenario, and ``peerwatt check``."""
    local = DAY.replace(day=17)
    two_days = linky(local, 30, lambda _: "400") + "\n".join(linky(DAY, 30, lambda _: "400").splitlines()[3:])
    load = peerwatt.report(peerwatt.file("linky.csv", two_days))
    price = peerwatt.report(peerwatt.file("p.csv", entsoe(DAY, 60, lambda row: f"{row}")))
    sun = [f"2024-06-{17 + (h + 1) // 24:02d}T{(h + 1) % 24:02d}:00:00Z,PT60M,100" for h in range(60)]
    irradiance = peerwatt.report(peerwatt.file("s.csv", "period_end,period,ghi\n" + "\n".join(sun)))
    (peerwatt.folder / "village.toml").write_text(
        f"""
seed = 1
mechanism = "mid-market-rate"
[community]
name = "Imported"
[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 15
[tariff]
{price["scenario"]}export = 0.0
{irradiance["scenario"]}
[[member]]
name = "house"
kind = "house"
{load["scenario"]}pv = {{ area_m2 = 10, efficiency = 0.2 }}
[[member]]
name = "other"
kind = "house"
{load["scenario"]}
""",
        encoding="utf-8",
    )
    code, out, err = peerwatt.run("check", "village.toml", "--json")
    assert code == 0, err
    summary = json.loads(out)
    house = summary["members"][0]
    assert house["load_kwh"] == [pytest.approx(9.6)]
    assert house["pv_kwh"] == [pytest.approx(24 * 0.1 * 10 * 0.2)]
    session = summary["sessions"][0]
    assert session["import_price_eur_per_kwh"]["greatest"] == pytest.approx(0.023)
    gap = linky(DAY, 30, lambda row: "" if row == 20 else "400")
    assert peerwatt.report(peerwatt.file("gap.csv", gap))["gaps"]
    text = (peerwatt.folder / "village.toml").read_text().replace("linky-load.csv", "gap-load.csv")
    (peerwatt.folder / "holes.toml").write_text(text)
    code, _, err = peerwatt.run("check", "holes.toml")
    assert code == 2
    assert "found no value for 2 of 96 slots" in err


def test_the_report_as_text_says_it_all_and_its_snippet_is_toml(peerwatt: Import) -> None:
    name = peerwatt.file("l.csv", linky(DAY, 30, lambda row: "" if row == 3 else "400"))
    code, out, _ = peerwatt.run("import", name)
    assert code == 0
    for words in ("enedis", "step 30 min", "1 gap", "end of their period", "wrote l-load.csv", "W, written"):
        assert words in out
    snippet = tomllib.loads(out[out.index("load = ") :])
    assert snippet["load"]["column"] == "load_kw"


@given(
    steps=st.lists(st.sampled_from([10, 15, 30, 60]), min_size=1, max_size=4),
    counts=st.lists(st.integers(9, 40), min_size=4, max_size=4),
    holes=st.sets(st.integers(0, 150), max_size=5),
    label=st.sampled_from(["start", "end"]),
)
def test_energy_is_kept_whatever_the_steps(
    steps: list[int], counts: list[int], holes: set[int], label: str
) -> None:
    """Periods of changing steps, told from stamps alone, hold their energy on the regular grid."""
    lengths = np.concatenate([np.full(n, 60 * step) for step, n in zip(steps, counts, strict=False)])
    ends = np.cumsum(lengths) + 1_718_661_600
    stamps = ends if label == "end" else ends - lengths
    found = period_lengths_s(stamps, label)  # type: ignore[arg-type]
    assert found.tolist() == lengths.tolist()
    values = np.arange(float(len(lengths)))
    values[[hole for hole in holes if hole < len(values)]] = np.nan
    starts, step_s, grid = on_regular_grid(ends - lengths, lengths, values)
    assert np.all(np.diff(starts) == step_s)
    assert np.nansum(grid) * step_s == pytest.approx(np.nansum(values * lengths))
    assert int(starts[-1]) + step_s == ends[-1]


@pytest.mark.parametrize(
    ("header", "stamps", "form"),
    [
        ("P (kW)", "{at:%d/%m/%Y %H:%M}", "%d/%m/%Y %H:%M"),
        ("P [kW]", "{at:%m/%d/%Y %H:%M:%S}", "%m/%d/%Y %H:%M:%S"),
        ("P (kW)", "{at:%d.%m.%Y %H:%M}", "%d.%m.%Y %H:%M"),
        ("P (kW)", "{at:%-d-%-m-%YT%H:%M}", "%d-%m-%YT%H:%M"),
    ],
)
def test_unit_and_order_of_day_and_month_are_told_by_the_file(
    peerwatt: Import, header: str, stamps: str, form: str
) -> None:
    begin = datetime(2024, 2, 12, 22)
    rows = [stamps.format(at=begin + timedelta(hours=hour)) + f",{hour}" for hour in range(6)]
    file = peerwatt.file("f.csv", "\n".join([f"t,{header}", *rows]))
    report = peerwatt.report(file, *MAP[:6], "--zone", "UTC")
    assert (report["first"], report["unit_found"], report["energy_kwh"]) == ("2024-02-12T22:00:00Z", "kW", 15)
    assert "unit kW, as the header says" in report["understood"]
    assert any(words.startswith(f"stamps read as {form}, as '") for words in report["understood"])


def test_a_sheet_of_buildings_becomes_a_series_each(peerwatt: Import) -> None:
    file = peerwatt.file(
        "sheet.csv",
        "\ufeffDate;École (kW);Salle des fêtes (kW)\r\n"
        "13/01/2024 00:00;1,5;0,25\r\n13/01/2024 00:15;2,5;0,75\r\n",
    )
    options = ("--as", "csv", "--time", "Date", "--column", "École", "--column", "Salle des fêtes (kW)")
    school, hall = peerwatt.reports(file, *options, "--zone", "Europe/Paris")
    assert Path(school["written"]).name == "sheet-ecole-load.csv"
    assert Path(hall["written"]).name == "sheet-salle-des-fetes-load.csv"
    assert (school["energy_kwh"], hall["energy_kwh"]) == (1.0, 0.25)
