"""The README's planner, installed as a package of somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from agents.planning.planner import planner_for
from runtime.errors import InputError
from runtime.scenario import resolve
from tests.machines.communities import Community
from tests.scenario.scenarios import refusal, write

README = Path(__file__).parents[3] / "README.md"
HOUSE = 'name = "house"'


@pytest.fixture
def halfway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    text = README.read_text(encoding="utf-8").replace("my_package", "their_package")
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "plan_of" in block)
    entries = re.findall(r"```toml\n(.*?)```", text, re.S)
    found = re.search(r'(\w+) = "([\w.:]+)"', next(each for each in entries if "peerwatt.planners" in each))
    assert found
    name, target = found.groups()
    module = tmp_path / (target.split(":")[0].replace(".", "/") + ".py")
    module.parent.mkdir(parents=True)
    module.write_text(code, encoding="utf-8")
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[peerwatt.planners]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def discharged_kwh(strategy: str) -> dict[str, float]:
    """What each member's battery gave in a market in which all plan by this strategy."""
    made = Community(6, members=4, slots=12, deviation=0.0)
    made.member_configs = [each.model_copy(update={"strategy": strategy}) for each in made.member_configs]
    _, members = made.run()
    batteries = [each.name for each in made.member_configs if each.battery is not None]
    return {name: float(np.sum(members[name].sessions[0].battery_discharge_kwh)) for name in batteries}


def test_members_plan_by_it_in_the_market(halfway: str) -> None:
    built_in, half = discharged_kwh("optimised"), discharged_kwh(halfway)
    assert sum(half.values()) > 0.1
    assert sum(half.values()) < 0.9 * sum(built_in.values())


def test_a_scenario_names_it(halfway: str, tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, (HOUSE, f'{HOUSE}\nstrategy = "{halfway}"')))
    assert resolved.member_config("house").strategy == halfway
    assert resolved.member_config("school").strategy == "optimised"


def test_it_is_not_told_of_wishes(halfway: str, tmp_path: Path) -> None:
    wishes = f'{HOUSE}\nstrategy = "{halfway}"\nplanning = {{ preference = {{ weights = {{ cost = 1 }} }} }}'
    assert "planning: found a table beside strategy 'halfway'" in refusal(write(tmp_path, (HOUSE, wishes)))


def test_a_planner_that_nobody_installed_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, (HOUSE, f'{HOUSE}\nstrategy = "optimal"'))
    expected = "strategy: found 'optimal', expected one of idle, rule, optimised"
    assert f'{path}: member[1] "house" {expected}' in refusal(path)
    with pytest.raises(InputError, match=expected):
        planner_for("optimal", 1)
