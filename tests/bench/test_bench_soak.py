"""``peerwatt bench soak``: a short one as a person runs it, and what it makes of longer ones."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pytest

from runtime.bench.community import write_community
from runtime.bench.growth import without_greatest_step
from runtime.bench.soak import LIMIT_MIB_PER_DAY, Growth, Look, SoakFigures, growth_in, imbalance_in
from runtime.cli.bench_soak import text_of
from runtime.configuration import CoordinatorConfig
from runtime.rundir import RunDirectory
from tests.machines.communities import Community

COMMAND = [sys.executable, "-m", "runtime", "bench", "soak"]

FLAT = Growth(20.0, 21.0, 21.1, 0.1, 0.25, 15, 15)
FIGURES = SoakFigures(
    members=3,
    days=8.0,
    sessions=8,
    slots=96,
    whole_s=10.0,
    looks=[],
    growth={"prosumer": FLAT},
    messages=1000,
    repeated=2,
    duplicates=1,
    refused=0,
    late=0,
    missing=0,
    restarts=0,
    log_mb=1.0,
    imbalance=None,
    proven=True,
    findings=[],
)


def test_a_short_soak_is_checked_and_leaves_nothing(tmp_path, temporary):
    kept = tmp_path / "run"
    options = ["--days", "2", "--members", "2", "--slots", "12", "--replan-every-slots", "6"]
    done = subprocess.run(
        [*COMMAND, *options, "--keep", str(kept), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["days"], found["sessions"], found["slots"], found["growth"]) == (2.0, 4, 24, {})
    assert (found["late"], found["missing"], found["restarts"], found["refused"]) == (0, 0, 0, 0)
    assert (found["imbalance"], found["proven"], found["failures"]) == (None, True, [])
    assert found["messages"] > 24 * 2 * 5
    assert [look["day"] for look in found["looks"][:2]] == pytest.approx([0, 1 / 12])
    assert all(0 < each < 100 for look in found["looks"] for each in look["uss_mib"]["prosumer"])
    assert (kept / "logs" / "coordinator.jsonl").is_file()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--replan-every-slots", "97"], "--replan-every-slots: found 97, expected at most 96"),
        (["--replan-every-slots", "90"], "a divisor of the 672 slots of all days"),
        (["--keep", "."], "--keep: found ., expected a folder that is not there yet"),
    ],
)
def test_what_cannot_be_is_named(options, said):
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr


def test_sessions_of_a_soak_follow_each_other(tmp_path):
    directory = RunDirectory(tmp_path)
    write_community(
        directory, 2, 24, sessions=3, operated_slots=8, mechanism="admm", one_after_the_other=True
    )
    config = CoordinatorConfig.load(directory.coordinator_config)
    assert config.mechanism == "admm"
    starts = [session.horizon.start.hour for session in config.sessions]
    assert starts == [0, 8, 16]
    assert {session.operated.slots for session in config.sessions} == {8}


def looks_of(uss_mib_of, files_of=lambda place: 10):
    """Eight days in quarter days of two prosumers, of which the first does not grow."""
    return [
        Look(place / 4, 0.0, {"prosumer": [20.0, uss_mib_of(place)]}, {"prosumer": [5, files_of(place)]})
        for place in range(33)
    ]


def test_growth_is_that_of_the_second_half_of_the_process_that_grows_most():
    warming = growth_in(looks_of(lambda place: 20 + min(place, 10)), 2)["prosumer"]
    assert (warming.mib_per_day, warming.flat) == (pytest.approx(0), True)
    assert (warming.first_mib, warming.half_mib, warming.last_mib) == (20.0, 20.0, 20.0)
    leaking = growth_in(looks_of(lambda place: 20 + place / 4), 2)["prosumer"]
    assert (leaking.mib_per_day, leaking.flat) == (pytest.approx(1), False)
    assert (leaking.first_mib, leaking.half_mib, leaking.last_mib) == (20.0, 24.0, 28.0)


def test_a_buffer_that_was_needed_longer_once_is_no_growth():
    found = growth_in(looks_of(lambda place: 20 if place < 22 else 28), 2)["prosumer"]
    assert (found.mib_per_day, found.flat) == (pytest.approx(0), True)
    once = growth_in(looks_of(lambda place: 20 if place < 25 else 20.7), 2)["prosumer"]  # in the middle
    assert (once.mib_per_day, once.flat) == (pytest.approx(0), True)
    stairs = growth_in(looks_of(lambda place: 20 + 0.2 * (place // 4)), 2)["prosumer"]  # at each day's end
    assert (stairs.mib_per_day, stairs.flat) == (pytest.approx(0.175, rel=0.1), False)


@pytest.mark.parametrize(
    ("series", "left"),
    [
        ([1, 1, 3, 3], [1, 1, 1, 1]),
        ([1, 2, 4, 5], [1, 2, 2, 3]),
        ([1, 3, 1, 1], [1, 3, 1, 1]),  # does not last
        ([4, 3, 2], [4, 3, 2]),
        ([1, 2, 0, 3, 9, 8], [1, 2, 0, 3, 4, 3]),  # from the highest before to the lowest after
        ([2, 2], [2, 2]),
    ],
)
def test_the_one_greatest_step_up_that_lasts_is_taken_out(series, left):
    assert without_greatest_step(series) == left


@pytest.mark.parametrize(("members", "shared"), [(2, 1.0), (20, 1.0), (100, 5.0)])
def test_each_kind_has_its_limit_and_one_for_all_members_grows_with_them(members, shared):
    kinds = [*LIMIT_MIB_PER_DAY]
    assert kinds == ["prosumer", "meters", "server", "coordinator"]

    def look_at(place, mib_per_day):
        return Look(
            place / 4,
            0.0,
            {kind: [20.0 + mib_per_day[kind] * place / 4] for kind in kinds},
            {kind: [10] for kind in kinds},
        )

    limits = {
        kind: limit * (1.0 if kind == "prosumer" else shared) for kind, limit in LIMIT_MIB_PER_DAY.items()
    }
    for share, flat in ((0.97, True), (1.03, False)):
        slopes = {kind: share * limit for kind, limit in limits.items()}
        found = growth_in([look_at(place, slopes) for place in range(33)], members)
        assert {kind: each.limit_mib_per_day for kind, each in found.items()} == pytest.approx(limits)
        assert {each.flat for each in found.values()} == {flat}


def test_open_files_that_grow_are_growth():
    found = growth_in(looks_of(lambda _: 20.0, lambda place: 10 + place // 32), 2)["prosumer"]
    assert (found.files_first, found.files_last, found.flat) == (10, 11, False)


def test_all_that_is_not_as_it_should_be_is_said():
    assert FIGURES.failures() == []
    bad = replace(
        FIGURES,
        growth={"server": replace(FLAT, mib_per_day=0.3), "meters": replace(FLAT, files_last=16)},
        refused=1,
        late=2,
        missing=3,
        restarts=4,
        imbalance="ledger, session 0, slot 1: members pay too little",
        proven=False,
        findings=["member.jsonl: record 7: hash"],
    )
    text = "; ".join(bad.failures())
    assert len(bad.failures()) == 8
    for said in (
        "server: memory grows by 0.30 MiB a day",
        "meters: 16 open files at the end, 15 at first",
        "2 answers to rounds were late",
        "3 slots were settled without",
        "4 processes",
        "1 messages were refused",
        "members pay too little",
        "not proven: member.jsonl: record 7: hash",
    ):
        assert said in text
    assert "GROWS" in text_of(bad)
    assert "NOT PROVEN" in text_of(bad)
    assert "GROWS" not in text_of(FIGURES)


def test_a_ledger_that_does_not_balance_is_said():
    record, _ = Community(1).run()
    assert imbalance_in(record) is None
    (session,) = record.sessions
    first, *rest = session.ledger
    wrong = first.model_copy(update={"amount_eur": first.amount_eur + Decimal("0.01")})
    broken = session.model_copy(update={"ledger": [wrong, *rest]})
    assert "ledger, session 0" in imbalance_in(record.model_copy(update={"sessions": [broken]}))
