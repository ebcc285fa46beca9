"""What a comparison runs: mechanisms, settings, days, and communities with more or less of something."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.comparison.cases import (
    choose_days,
    comparable_mechanisms,
    comparison_cases,
    sweep_cases,
    with_batteries,
    with_members,
    with_pv,
)
from runtime.errors import InputError
from runtime.scenario import resolve
from runtime.scenario.resolved import ResolvedScenario
from tests.scenario.scenarios import write


@pytest.fixture
def two_days(tmp_path: Path) -> ResolvedScenario:
    return resolve(write(tmp_path, ("start = 2024-06-18", "start = [2024-06-18, 2024-06-20]")))


def test_all_installed_mechanisms_are_compared_beside_the_three_ways_of_being_alone(
    two_days: ResolvedScenario,
) -> None:
    cases = comparison_cases(two_days, None)
    assert [case.key for case in cases[:3]] == ["pv-only", "pv-battery-rule", "pv-battery-optimised"]
    assert [case.mechanism for case in cases[3:]] == comparable_mechanisms()
    assert len(comparable_mechanisms()) >= 9
    assert "grid-only" not in comparable_mechanisms()
    for case in cases[3:]:
        config = case.resolved.coordinator_config()
        assert (config.setting, config.mechanism) == ("community", case.mechanism)
    assert {case.resolved.coordinator_config().mechanism for case in cases[:3]} == {"grid-only"}


def test_the_scenarios_own_mechanism_keeps_its_parameters(tmp_path: Path) -> None:
    own = '[mechanism]\nname = "mid-market-rate"\nmax_rounds = 3\n[community]'
    resolved = resolve(write(tmp_path, ('mechanism = "mid-market-rate"\n', ""), ("[community]", own)))
    by_name = {case.mechanism: case for case in comparison_cases(resolved, ["mid-market-rate", "admm"])}
    assert by_name["mid-market-rate"].resolved.coordinator_config().parameters == {"max_rounds": 3}
    assert by_name["admm"].resolved.coordinator_config().parameters == {}


@pytest.mark.parametrize(
    ("names", "words"), [(["mid-market"], "found 'mid-market'"), (["admm", "admm"], "'admm' twice")]
)
def test_a_wrong_mechanism_is_refused(two_days: ResolvedScenario, names: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        comparison_cases(two_days, names)


@pytest.mark.parametrize(
    ("days", "starts"), [(["1"], ["18"]), (["2024-06-20"], ["20"]), (["2"], ["18", "20"])]
)
def test_days_are_chosen_by_number_or_date(
    two_days: ResolvedScenario, days: list[str], starts: list[str]
) -> None:
    chosen = choose_days(two_days, days)
    assert [f"{horizon.local(0):%d}" for horizon in chosen.horizons] == starts
    assert len(chosen.coordinator_config().sessions) == len(starts)
    assert len(chosen.member_config("school").sessions) == len(starts)
    assert len(chosen.meters_config().meters[0].sessions) == len(starts)


@pytest.mark.parametrize("days", [["3"], ["0"], ["2024-06-19"], []])
def test_days_that_there_are_not_are_refused_with_those_there_are(
    two_days: ResolvedScenario, days: list[str]
) -> None:
    with pytest.raises(InputError, match="2024-06-18, 2024-06-20"):
        choose_days(two_days, days)


def test_batteries_are_scaled_with_their_limits_or_taken_away(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, ("capacity_kwh = 10", "capacity_kwh = 10\ncharge_limit_kw = 4")))
    battery = with_batteries(resolved, 0.5).member_config("school").battery
    assert battery is not None
    assert (battery.capacity_kwh, battery.charge_limit_kw, battery.discharge_limit_kw) == (5, 2, None)
    assert with_batteries(resolved, 0).member_config("school").battery is None
    assert resolved.member_config("school").battery.capacity_kwh == 10  # type: ignore[union-attr]


def test_photovoltaics_are_scaled(two_days: ResolvedScenario) -> None:
    produced = with_pv(two_days, 2.5).member_config("school").sessions[0].pv_production_kwh
    assert produced == pytest.approx([2.5] * 24)


def test_members_are_the_first_so_many(two_days: ResolvedScenario) -> None:
    assert with_members(two_days, 1).coordinator_config().members == ["house"]
    with pytest.raises(InputError, match="found 3, expected a whole number from 1 to 2"):
        with_members(two_days, 3)


def test_a_sweep_tries_every_value_alone_and_under_each_mechanism(two_days: ResolvedScenario) -> None:
    cases = sweep_cases(two_days, "battery", [0, 2], ["admm"])
    assert [case.key for case in cases] == [
        "battery-0-alone", "battery-0-admm", "battery-2-alone", "battery-2-admm",
    ]  # fmt: skip
    assert [case.sweep for case in cases] == [("battery", 0)] * 2 + [("battery", 2)] * 2


def test_what_is_not_there_cannot_be_varied(tmp_path: Path) -> None:
    bare = resolve(
        write(
            tmp_path,
            ("[member.battery]\ncapacity_kwh = 10\nsoc_min = 0.2\nsoc_max = 0.8\nsoc_start = 0.5\n", ""),
        )
    )
    with pytest.raises(InputError, match="the community has none"):
        sweep_cases(bare, "battery", [1], ["admm"])
    with pytest.raises(InputError, match="found -1"):
        sweep_cases(bare, "pv", [-1], ["admm"])
