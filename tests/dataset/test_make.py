"""A set as it lies in its folder: same bytes, sound figures, checked, never written over."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.dataset.check import check_dataset
from runtime.dataset.choice import Choice, choice_of
from runtime.dataset.make import make_dataset
from runtime.dataset.manifest import read_manifest
from runtime.errors import InputError
from runtime.scenario import resolve

SMALL = Choice(places=("seville", "lulea"), seasons=("winter", "summer"), sizes=(3, 5))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "set"
    make_dataset(folder, Choice(), 2)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    make_dataset(folder, SMALL, 5)
    return folder


def table(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Stamps of a file, and its columns."""
    with path.open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return [row[0] for row in rows], {
        name: np.array([float(row[at]) for row in rows]) for at, name in enumerate(header) if at
    }


def digest(folder: Path) -> str:
    parts = [
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def test_same_seed_same_bytes(tmp_path: Path, small: Path) -> None:
    make_dataset(tmp_path / "again", SMALL, 5)
    make_dataset(tmp_path / "other", SMALL, 6)
    assert digest(tmp_path / "again") == digest(small)
    assert digest(tmp_path / "other") != digest(small)


def test_a_part_of_the_set_is_that_part_of_the_whole(tmp_path: Path, small: Path) -> None:
    """What else was chosen changes no community's bytes."""
    part = Choice(places=("lulea",), seasons=("summer",), sizes=(5,), tariffs=("dynamic",))
    make_dataset(tmp_path / "part", part, 5)
    key = "communities/lulea-summer-05-dynamic"
    assert digest(tmp_path / "part" / key) == digest(small / key)


def test_smaller_communities_are_in_larger_ones_and_tariffs_change_nothing_else(small: Path) -> None:
    folder = small / "communities"
    for name in ("load.csv", "production.csv"):
        few = table(folder / "seville-winter-03-dynamic" / name)[1]
        many = table(folder / "seville-winter-05-dynamic" / name)[1]
        assert set(few) < set(many) or set(few) == set(many)
        assert all((values == many[member]).all() for member, values in few.items())
        for size in ("03", "05"):
            two = [
                (folder / f"seville-winter-{size}-{world}" / name).read_bytes()
                for world in ("dynamic", "time-of-use")
            ]
            assert two[0] == two[1]


def test_every_scenario_of_the_whole_set_resolves_to_its_own_files(whole: Path) -> None:
    manifest, problems = check_dataset(whole)
    assert problems == []
    assert len(manifest.communities) == 96
    community = next(each for each in manifest.communities if each.key == "munich-summer-25-dynamic")
    resolved = resolve(whole / community.scenario)
    folder = whole / community.folder
    _, loads = table(folder / "load.csv")
    _, production = table(folder / "production.csv")
    _, prices = table(folder / "tariff.csv")
    assert resolved.members == community.members
    assert "solar-shed" in community.members
    for member in resolved.scenario.members:
        (series,) = resolved.series[member.name]
        column = f"{member.name} [kWh]"
        assert (series.load_kwh is not None) == (column in loads)
        if series.load_kwh is not None:
            assert series.load_kwh == pytest.approx(loads[column], rel=1e-12)
        if member.pv is not None:
            assert series.ghi_w_per_m2 is not None
            assert member.pv.array is not None
            made = series.ghi_w_per_m2 * member.pv.array.area_m2 * member.pv.array.efficiency / 4000
            assert made == pytest.approx(production[column], abs=6e-7)
    asked = [float(price) for price in resolved.import_price_eur_per_kwh[0]]
    assert asked == pytest.approx(prices["import [EUR/kWh]"], rel=1e-12)
    assert resolved.suspended_slots() == [[]]


# By place and season: least and most irradiation of a day [kWh/m²], and consumption of a house [kWh].
DAYS = {
    "lorient": {"winter": (0.1, 1.9, 9, 20), "summer": (2.0, 9.2, 5, 13)},
    "seville": {"winter": (0.6, 3.6, 7, 18), "summer": (3.5, 9.4, 7, 18)},
    "munich": {"winter": (0.1, 1.9, 8, 19), "summer": (2.0, 9.0, 6, 15)},
    "lulea": {"winter": (0.0, 0.2, 25, 60), "summer": (2.0, 9.0, 7, 20)},
}


@pytest.mark.parametrize("place", DAYS)
@pytest.mark.parametrize("season", ["winter", "summer"])
def test_days_are_plausible(whole: Path, place: str, season: str) -> None:
    folder = whole / "communities" / f"{place}-{season}-25-time-of-use"
    least, most, least_house, most_house = DAYS[place][season]
    stamps, sky = table(folder / "irradiance.csv")
    ghi = sky["irradiance [W/m2]"]
    assert len(stamps) == 96
    assert all(stamp.endswith("Z") for stamp in stamps)
    assert least < ghi.sum() / 4000 < most
    assert ghi.min() >= 0
    assert ghi.max() < 1150
    loads = table(folder / "load.csv")[1]
    houses = [values.sum() for name, values in loads.items() if name.startswith("house-")]
    assert least_house < np.mean(houses) < most_house
    assert min(values.min() for values in loads.values()) > 0
    assert max(loads[name].max() for name in loads if name.startswith("house-")) * 4 < 15
    for values in table(folder / "production.csv")[1].values():
        assert (values[ghi == 0] == 0).all()
        assert (values >= 0).all()


def test_nights_are_dark_and_clouds_stay_below_a_bright_sky(whole: Path) -> None:
    from runtime.dataset.places import PLACES
    from runtime.scenario.models.irradiance import irradiance_w_per_m2
    from runtime.scenario.series import IrradianceSeries

    manifest, _ = read_manifest(whole)
    for community in manifest.communities:
        if (community.size, community.tariff) != (4, "dynamic"):
            continue
        place = PLACES[community.place]
        ghi = table(whole / community.folder / "irradiance.csv")[1]["irradiance [W/m2]"]
        sky = IrradianceSeries(
            model="irradiance",
            latitude_deg=place.latitude_deg,
            longitude_deg=place.longitude_deg,
            altitude_m=place.altitude_m,
            sky="clear",
        )
        (horizon,) = resolve(whole / community.scenario).horizons
        clear = irradiance_w_per_m2(sky, horizon, 0, "sky")
        assert (ghi[clear == 0] == 0).all()
        assert (ghi <= 1.12 * clear + 0.01).all(), "enhancement at cloud edges is 12 % at most"
        assert ghi.sum() < 1.07 * clear.sum(), "as bright as a day of unusually clean air"
        night = 18 if (community.place, community.season) == ("lulea", "winter") else 5
        assert (ghi == 0).sum() / 4 >= (night if community.season != "summer" else 0)


def test_several_days_are_several_sessions(tmp_path: Path) -> None:
    choice = Choice(places=("munich",), seasons=("autumn",), sizes=(2,), tariffs=("time-of-use",), days=2)
    make_dataset(tmp_path / "set", choice, 1)
    resolved = resolve(tmp_path / "set" / "communities" / "munich-autumn-02-time-of-use" / "scenario.toml")
    assert [horizon.slots for horizon in resolved.horizons] == [96, 96]
    first, second = (series.load_kwh for series in resolved.series["house-1"])
    assert first is not None
    assert not np.array_equal(first, second)


def test_the_manifest_says_where_everything_came_from(small: Path) -> None:
    manifest, sha256 = read_manifest(small)
    assert sha256 == hashlib.sha256((small / "manifest.json").read_bytes()).hexdigest()
    assert {"demandlib", "pvlib", "numpy"} <= set(manifest.libraries)
    assert all(facts["licence"] and facts["version"] for facts in manifest.libraries.values())
    assert all(place.sources for place in manifest.places)
    assert manifest.licence == "CC-BY-4.0"
    licence = (small / "LICENSE").read_text("utf-8")
    assert all(name in licence for name in ("BDEW", "demandlib", "pvlib"))
    readme = (small / "README.md").read_text("utf-8")
    assert "Seville" in readme
    assert "invented" in readme
    for entry in manifest.all_files():
        assert hashlib.sha256((small / entry.path).read_bytes()).hexdigest() == entry.sha256


# -- what goes wrong ------------------------------------------------------------------------------------


def test_a_folder_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="is there already"):
        make_dataset(tmp_path / "mine", SMALL, 1)
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_nothing_is_left_of_a_set_that_could_not_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_dataset(tmp_path / "set", SMALL, 1, fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"places": "paris"}, r"--places: found 'paris', expected some of: lorient, seville, munich, lulea"),
        ({"seasons": "winter,,"}, r"--seasons: found '' twice"),
        ({"seasons": "winter,winter"}, r"--seasons: found 'winter' twice"),
        ({"sizes": "1"}, r"--sizes: found '1', expected whole numbers from 2 to 25"),
        ({"sizes": "4,x"}, r"--sizes: found 'x'"),
        ({"tariffs": "flat"}, r"--tariffs: found 'flat', expected some of: time-of-use, dynamic"),
        ({"days": 8}, r"--days: found 8, expected 1 to 7"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], expected: str) -> None:
    given = {"places": None, "seasons": None, "sizes": None, "tariffs": None, "days": 1} | options
    with pytest.raises(InputError, match=expected):
        choice_of(**given)  # type: ignore[arg-type]


def test_a_changed_a_missing_and_an_added_file_are_found(small: Path) -> None:
    folder = small / "communities" / "lulea-winter-03-dynamic"
    text = (folder / "load.csv").read_text("utf-8")
    (folder / "load.csv").write_text(text.replace("1", "2", 1), encoding="utf-8")
    (small / "LICENSE").unlink()
    (small / "notes.txt").write_text("mine", encoding="utf-8")
    _, problems = check_dataset(small)
    assert len(problems) == 3
    assert "notes.txt: found a file that the manifest does not list" in problems[0]
    assert "LICENSE: found no file" in problems[1]
    assert "communities/lulea-winter-03-dynamic/load.csv: found SHA-256" in problems[2]


def test_a_manifest_cannot_lead_out_of_the_set(small: Path) -> None:
    path = small / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["communities"][0]["folder"] = "../elsewhere"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match=r"communities\.0\.folder.*expected a relative path inside the set"):
        read_manifest(small)


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    folder = tmp_path / "set"
    options = ["--places", "munich", "--seasons", "spring", "--sizes", "2", "--tariffs", "dynamic"]
    made = run.invoke(app, ["dataset", "make", str(folder), *options, "--seed", "4", "--json"])
    assert made.exit_code == 0
    assert json.loads(made.output)["communities"] == ["munich-spring-02-dynamic"]
    checked = run.invoke(app, ["dataset", "check", str(folder), "--json"])
    assert checked.exit_code == 0
    assert json.loads(checked.output)["problems"] == []
    shutil.rmtree(folder / "communities" / "munich-spring-02-dynamic")
    broken = run.invoke(app, ["dataset", "check", str(folder)])
    assert isinstance(broken.exception, InputError)
    assert "scenario.toml: found no file" in str(broken.exception)
    none = run.invoke(app, ["dataset", "check", str(tmp_path / "nothing")])
    assert "expected a folder made by `peerwatt dataset make`" in str(none.exception)
