"""Members in two communities: as they name them, else by turns; what is wrong with a scenario's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.communities import parted
from runtime.errors import InputError
from runtime.rundir import COORDINATOR, SECOND_COORDINATOR, RunDirectory
from runtime.scenario.load import BUILTIN
from runtime.scenario.resolve import resolve
from runtime.scenario.write import write_configs


def hybrid(folder: Path, communities: dict[str, str] | None = None, mechanism: str = "hybrid") -> Path:
    text = (BUILTIN / "example.toml").read_text("utf-8")
    text = text.replace('mechanism = "admm"', f'mechanism = "{mechanism}"')
    for name, community in (communities or {}).items():
        text = text.replace(f'name = "{name}"', f'name = "{name}"\ncommunity = "{community}"')
    path = folder / "village.toml"
    path.write_text(text, "utf-8")
    return path


def test_members_that_name_no_community_alternate() -> None:
    first, second = parted(dict.fromkeys(["a", "b", "c"]))
    assert (first.name, first.coordinator, first.members) == ("first", COORDINATOR, ["a", "c"])
    assert (second.name, second.coordinator, second.members) == ("second", SECOND_COORDINATOR, ["b"])


def test_members_are_in_the_communities_they_name_and_the_first_member_s_leads() -> None:
    parts = parted({"a": "south", "b": "north", "c": "south"})
    assert [(part.name, part.members) for part in parts] == [("south", ["a", "c"]), ("north", ["b"])]


def test_a_single_member_is_in_no_two_communities() -> None:
    assert parted({"a": None}) == []


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"a": "north", "b": None, "c": "south"}, 'member[2] "b" community: found none'),
        ({"a": "north", "b": "north"}, "found 1 (north), expected two communities"),
        ({"a": "x", "b": "y", "c": "z"}, "found 3 (x, y, z), expected two communities"),
    ],
)
def test_communities_that_will_not_do_are_refused(named: dict[str, str | None], said: str) -> None:
    with pytest.raises(InputError) as error:
        parted(named)
    assert said in str(error.value)


def test_each_member_is_told_its_coordinator_and_each_coordinator_has_an_account(tmp_path: Path) -> None:
    resolved = resolve(hybrid(tmp_path))
    first, second = resolved.coordinator_config().communities
    assert [*first.members, *second.members] == [*resolved.members[::2], *resolved.members[1::2]]
    for part in (first, second):
        assert {resolved.member_config(name).coordinator for name in part.members} == {part.coordinator}
    run = RunDirectory(tmp_path / "run")
    write_configs(resolved, run)
    assert json.loads(run.accounts_json.read_bytes())[:2] == [COORDINATOR, SECOND_COORDINATOR]


@pytest.mark.parametrize(("mechanism", "setting"), [("admm", None), ("hybrid", "pv-only")])
def test_elsewhere_all_members_have_one_coordinator(
    tmp_path: Path, mechanism: str, setting: str | None
) -> None:
    resolved = resolve(hybrid(tmp_path, mechanism=mechanism), setting=setting)
    assert resolved.coordinator_config().communities == []
    assert {resolved.member_config(name).coordinator for name in resolved.members} == {COORDINATOR}


def test_check_shows_the_communities_and_refuses_half_of_them(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["check", str(hybrid(tmp_path)), "--json"])
    assert list(json.loads(shown.stdout)["communities"]) == ["first", "second"]
    with pytest.raises(InputError, match=r"village\.toml: member\[2\] \"house-2\" community: found none"):
        resolve(hybrid(tmp_path, {"house-1": "north"}))
