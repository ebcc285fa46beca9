"""What was folded is taken up where it was left, and only of the very logs that it is of."""

import json
import shutil
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runtime.inspection import follower
from runtime.inspection.counts import Seconds
from runtime.inspection.follower import RunFollower
from runtime.inspection.kept_fold import KEPT_NAME
from runtime.inspection.metrics import exposition
from runtime.inspection.plain_values import from_json, to_json
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    community = Community(seed=11, members=4, slots=6, sessions=2)
    directory = leave_behind(community, tmp_path_factory.mktemp("run") / "village")
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return directory


def followed(run: RunDirectory) -> tuple[RunFollower, int]:
    """A follower that has read all there is, and how many lines it read for that."""
    one = RunFollower(run.path, run.logs_dir)
    before = one.state.version
    assert not one.look(budget_s=600)
    return one, one.state.version - before


def told(one: RunFollower) -> tuple[Any, bytes]:
    return one.snapshot(), exposition(one)


@pytest.fixture(scope="module")
def truth(finished: RunDirectory) -> tuple[tuple[Any, bytes], int]:
    """What is told of the run when all of it is read at once, and how many lines that are."""
    one, lines_read = followed(finished)
    assert not (finished.logs_dir / KEPT_NAME).exists()  # so little is not kept
    return told(one), lines_read


@pytest.fixture
def halves(
    finished: RunDirectory, truth: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], RunDirectory]:
    """A run whose logs end midway, and were folded and kept there; called, it has them whole."""
    monkeypatch.setattr(follower, "MUCH_BYTES", 1)
    run = RunDirectory(shutil.copytree(finished.path, tmp_path / "village"))
    for log in run.logs_dir.glob("*.jsonl"):
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[: len(lines) // 2]))
    _, lines_read = followed(run)
    assert lines_read > 100
    assert (run.logs_dir / KEPT_NAME).is_file()

    def whole() -> RunDirectory:
        for log in finished.logs_dir.glob("*.jsonl"):
            shutil.copy(log, run.logs_dir)
        return run

    return whole


def test_the_rest_is_read_and_all_is_known(
    truth: tuple[tuple[Any, bytes], int], halves: Callable[[], RunDirectory]
) -> None:
    expected, all_lines = truth
    resumed, lines_read = followed(halves())
    assert 0 < lines_read < 0.6 * all_lines
    assert told(resumed) == expected
    again, none = followed(halves())
    assert none == 0
    assert told(again) == expected


@pytest.mark.parametrize("change", ["log", "shorter", "gone", "version", "class", "field", "kind", "garbage"])
def test_what_does_not_fit_is_not_taken_up(
    truth: tuple[tuple[Any, bytes], int], halves: Callable[[], RunDirectory], change: str
) -> None:
    run = halves()
    path = run.logs_dir / KEPT_NAME
    kept = json.loads(path.read_text())
    size, end = kept["logs"]["m1.jsonl"]
    if change == "log":
        kept["logs"]["m1.jsonl"] = [size, end.replace(end[5], "x")]
    elif change == "shorter":
        kept["logs"]["m1.jsonl"] = [10 * run.log("m1").stat().st_size, end]
    elif change == "gone":
        kept["logs"]["m99.jsonl"] = kept["logs"]["m1.jsonl"]
    elif change == "version":
        kept["version"][1] = "0.0.1"
    elif change == "class":
        kept["state"]["_members"]["of"][0][1]["by"] = "Popen"
    elif change == "field":
        del kept["state"]["_members"]["of"][0][1]["of"]["meter"]
    elif change == "kind":
        kept["counts"]["messages"]["kind"] = "eval"
    path.write_text("[" if change == "garbage" else json.dumps(kept))
    expected, all_lines = truth
    anew, lines_read = followed(run)
    assert lines_read == all_lines
    assert told(anew) == expected


def test_what_cannot_be_kept_is_in_nobodys_way(
    finished: RunDirectory, truth: tuple[Any, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(shutil.copytree(finished.path, tmp_path / "village"))
    monkeypatch.setattr(follower, "MUCH_BYTES", 1)
    (run.logs_dir / KEPT_NAME).mkdir()  # it cannot be replaced, nor read
    one, lines_read = followed(run)
    assert lines_read == truth[1]
    assert told(one) == truth[0]


@dataclass(slots=True)
class Thing:
    name: str
    amounts: dict[tuple[int, str], Decimal] = field(default_factory=dict)


def test_values_come_back_as_they_were() -> None:
    seconds: defaultdict[str, Seconds] = defaultdict(Seconds)
    seconds["m1"].add(1.5)
    for value in (
        None, [1, 2.5, "x", None], [[1], (2, "y")], {"a": {1: {2}}}, Counter({("a", 1): 3}),
        deque([{"at": "now"}], maxlen=7), frozenset({1}), Decimal("-1.200"), seconds,
        Thing("t", {(1, "x"): Decimal("0.1")}),
    ):  # fmt: skip
        again = from_json(json.loads(json.dumps(to_json(value))), (Thing, Seconds))
        assert again == value
        assert type(again) is type(value)
        assert getattr(again, "maxlen", None) == getattr(value, "maxlen", None)
    assert from_json(to_json(seconds), (Seconds,))["other"] == Seconds()
    with pytest.raises(TypeError, match="expected a value of a known kind"):
        to_json(Path())
    with pytest.raises(LookupError):
        from_json(to_json(Thing("t")), ())
    with pytest.raises(ValueError, match="expected a decimal"):
        from_json({"kind": "Decimal", "of": "much"}, ())
