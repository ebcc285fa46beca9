"""The table over a set by hand: means, worst, groups; which communities, and on which set."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from runtime.comparison.set_charts import write_set_charts
from runtime.comparison.set_page import best, set_findings, write_set_page
from runtime.comparison.set_table import (
    SET_ROWS,
    MechanismFacts,
    SetRun,
    SetSheet,
    groups_of,
    write_set_tables,
)
from runtime.comparison.sets import choose_communities, claim, set_cases
from runtime.dataset.choice import Choice
from runtime.dataset.make import make_dataset
from runtime.dataset.manifest import Manifest, read_manifest
from runtime.errors import InputError


def run(mechanism: str, place: str, season: str, saving: float, **more: object) -> SetRun:
    """A run in which 10 EUR could be saved of 100."""
    values = {
        "score": saving / 10,
        "saving_eur": saving,
        "saving_percent": saving,
        "alone_cost_eur": 100.0,
        "optimum_cost_eur": 90.0,
        "members_worse_off": 0,
        "boundary_self_sufficiency": 0.4,
        "rounds": 5,
        "messages": 100,
    }
    given = {"failure": None, "wall_seconds": 3.0, "size": 4, "tariff": "dynamic", "values": values} | more
    return SetRun(mechanism=mechanism, community=f"{place}-{season}", place=place, season=season, **given)  # type: ignore[arg-type]


RUNS = [
    run("good", "munich", "winter", 9.0),
    run("good", "munich", "summer", 10.0),
    run("good", "lulea", "winter", 8.0),
    run("bad", "munich", "winter", 4.0),
    run("bad", "munich", "summer", -2.0, values=run("", "", "", -2.0).values | {"members_worse_off": 3}),
    run("bad", "lulea", "winter", 0.0, failure="a process died", values={}),
]


def sheet_of(runs: list[SetRun]) -> SetSheet:
    return SetSheet(
        set_name="A set",
        set_version="1.0",
        set_seed=1,
        set_sha256="0" * 64,
        licence="CC-BY-4.0",
        peerwatt_version="0",
        climates={"munich": "Munich: continental", "lulea": "Luleå: subarctic"},
        communities=list(dict.fromkeys(each.community for each in runs)),
        mechanisms=[
            MechanismFacts(
                key=key, title=f"The {key} one", family="community", summary="It works.", discloses="Little."
            )
            for key in ("good", "bad")
        ],
        rows=list(SET_ROWS),
        groups=groups_of(runs, SET_ROWS),
        runs=runs,
    )


def test_mean_and_worst_by_hand() -> None:
    sheet = sheet_of(RUNS)
    good, bad = sheet.group("good", "all"), sheet.group("bad", "all")
    assert good.figures["score"].mean == pytest.approx(0.9)
    assert good.figures["score"].worst == pytest.approx(0.8)
    assert good.figures["score"].worst_community == "lulea-winter"
    assert good.score_of_all == pytest.approx(27 / 30)
    assert (bad.runs, bad.failed, bad.figures["score"].count) == (3, 1, 2)
    assert bad.figures["score"].worst == pytest.approx(-0.2)
    assert bad.figures["members_worse_off"].worst == 3, "of what is better lower, the worst is the highest"
    assert bad.figures["members_worse_off"].mean == pytest.approx(1.5)
    assert bad.score_of_all == pytest.approx(2 / 20), "a run without results counts on neither side"


def test_groups_are_of_what_communities_have_in_common() -> None:
    sheet = sheet_of(RUNS)
    assert sheet.values("place") == ["munich", "lulea"]
    assert sheet.values("season") == ["winter", "summer"]
    assert sheet.values("size") == ["4"]
    assert sheet.group("good", "place", "munich").figures["score"].mean == pytest.approx(0.95)
    assert sheet.group("good", "season", "winter").figures["score"].mean == pytest.approx(0.85)
    empty = sheet.group("bad", "place", "lulea")
    assert (empty.failed, empty.figures["score"].mean, empty.score_of_all) == (1, None, None)
    assert len(sheet.groups) == 2 * (1 + 2 + 2 + 1 + 1)


def test_communities_count_by_what_there_is_to_save() -> None:
    """Where nothing could be saved, a score says nothing and sways nothing."""
    idle = run("good", "lulea", "summer", 0.0)
    idle = idle.model_copy(update={"values": idle.values | {"optimum_cost_eur": 100.0, "score": None}})
    group = sheet_of([*RUNS, idle]).group("good", "all")
    assert group.score_of_all == pytest.approx(27 / 30)
    assert group.figures["score"].count == 3
    assert group.runs == 4


def test_tables_charts_and_page_say_the_same(tmp_path: Path) -> None:
    sheet = sheet_of(RUNS)
    table, runs, whole = write_set_tables(tmp_path, sheet)
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    assert (first["mechanism"], first["dimension"], first["value"]) == ("good", "all", "all")
    assert float(first["score_mean"]) == pytest.approx(0.9)
    assert first["score_worst_community"] == "lulea-winter"
    with runs.open(encoding="utf-8") as file:
        assert [row["failure"] for row in csv.DictReader(file)] == ["", "", "", "", "", "a process died"]
    assert SetSheet.model_validate(json.loads(whole.read_text("utf-8"))) == sheet
    charts = write_set_charts(tmp_path / "charts", sheet)
    assert set(charts) == {"score", "saving", "self-sufficiency"}
    page = write_set_page(tmp_path, sheet, charts, "peerwatt compare").read_text("utf-8")
    assert page.count("data:image/svg+xml;base64,") == 3
    for words in ("The good one", "90.0\N{NARROW NO-BREAK SPACE}%", "a process died", "Luleå: subarctic"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_findings_name_the_best_and_who_loses() -> None:
    sheet = sheet_of(RUNS)
    found = " ".join(set_findings(sheet))
    assert "The good one saves 90.0\N{NARROW NO-BREAK SPACE}%" in found
    assert "pay more than alone under The bad one (munich-summer)" in found
    assert "Somebody pays more than alone under The bad one (up to 3 in one)" in found
    assert best(sheet, SET_ROWS[0]) == ["good"]
    rounds = next(row for row in SET_ROWS if row.key == "rounds")
    assert best(sheet, rounds) == [], "all alike"


def test_who_is_best_alike_is_named_alike() -> None:
    runs = [run("good", "munich", "winter", 9.0), run("bad", "munich", "winter", 9.0)]
    found = set_findings(sheet_of(runs))
    assert "The good one and The bad one saves 90.0" in found[0]
    assert not any("Least is saved" in sentence for sentence in found)


def test_without_any_result_there_is_a_page_that_says_so(tmp_path: Path) -> None:
    sheet = sheet_of([run("good", "munich", "winter", 0.0, failure="no server", values={})])
    sheet = sheet.model_copy(update={"mechanisms": sheet.mechanisms[:1]})
    assert write_set_charts(tmp_path / "charts", sheet) == {}
    assert "no server" in write_set_page(tmp_path, sheet, {}, "x").read_text("utf-8")
    assert set_findings(sheet) == []


# -- which communities, on which set --------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, str]:
    folder = tmp_path_factory.mktemp("sets") / "set"
    choice = Choice(places=("munich", "lulea"), seasons=("winter", "summer"), sizes=(2, 3))
    make_dataset(folder, choice, 1)
    return (folder, *read_manifest(folder))


def test_filters_and_a_limit_that_grows(made: tuple[Path, Manifest, str]) -> None:
    _, manifest, _ = made
    assert len(choose_communities(manifest)) == 16
    lulea = choose_communities(manifest, places="lulea", sizes="3", tariffs="dynamic")
    assert [each.key for each in lulea] == ["lulea-winter-03-dynamic", "lulea-summer-03-dynamic"]
    before: set[str] = set()
    for limit in range(1, 17):
        keys = {each.key for each in choose_communities(manifest, limit=limit)}
        assert len(keys) == limit
        assert before < keys
        before = keys
    assert {each.place for each in choose_communities(manifest, limit=6)} == {"munich", "lulea"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"places": "seville"}, "--places: found 'seville', expected some of: munich, lulea"),
        ({"sizes": "4"}, "--sizes: found '4', expected some of: 2, 3"),
        ({"limit": 0}, "--limit: found 0, expected 1 or more"),
    ],
)
def test_what_the_set_does_not_have_is_named(
    made: tuple[Path, Manifest, str], options: dict[str, object], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        choose_communities(made[1], **options)  # type: ignore[arg-type]


def test_cases_are_every_mechanism_on_every_community(made: tuple[Path, Manifest, str]) -> None:
    folder, manifest, _ = made
    communities = choose_communities(manifest, limit=2)
    pairs = set_cases(folder, communities, ["mid-market-rate", "coordinated"])
    assert [case.key for _, case in pairs] == [
        f"{community.key}/{name}" for community in communities for name in ("mid-market-rate", "coordinated")
    ]
    assert {case.resolved.coordinator_config().mechanism for _, case in pairs} == {
        "mid-market-rate",
        "coordinated",
    }
    with pytest.raises(InputError, match="--mechanisms: found 'coordinated' twice"):
        set_cases(folder, communities, ["coordinated", "coordinated"])
    with pytest.raises(InputError, match="'unheard-of'"):
        set_cases(folder, communities, ["unheard-of"])


def test_a_changed_community_is_not_compared_on(tmp_path: Path) -> None:
    choice = Choice(places=("munich",), seasons=("winter",), sizes=(2,), tariffs=("dynamic",))
    make_dataset(tmp_path / "set", choice, 1)
    manifest, _ = read_manifest(tmp_path / "set")
    path = tmp_path / "set" / manifest.communities[0].folder / "tariff.csv"
    path.write_text(path.read_text("utf-8").replace("2024", "2025", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"tariff\.csv: found SHA-256 .*a set is compared on as it was made"):
        set_cases(tmp_path / "set", manifest.communities, ["mid-market-rate"])


def test_a_comparison_is_resumed_on_its_own_set_alone(
    tmp_path: Path, made: tuple[Path, Manifest, str]
) -> None:
    _, manifest, sha256 = made
    folder = tmp_path / "compare"
    folder.mkdir()
    claim(folder, manifest, sha256)
    claim(folder, manifest, sha256)
    with pytest.raises(InputError, match=r"--resume: .* was on another set"):
        claim(folder, manifest, "f" * 64)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="holds no comparison on a set"):
        claim(tmp_path / "mine", manifest, sha256)
    with pytest.raises(InputError, match="found no folder"):
        claim(tmp_path / "nowhere", manifest, sha256)
