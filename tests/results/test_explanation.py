"""Reasons in words, from the agreed plan that members leave in their records."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.configuration import ClockConfig, MemberConfig, MemberSession, Timing
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.records import AgreedPlan, MemberRecord, MemberSessionRecord
from runtime.results.explanation import slot_named
from runtime.rundir import RunDirectory

HORIZON = Horizon(start=datetime(2024, 6, 17, 22, tzinfo=UTC), zone="Europe/Paris", slot_minutes=60, slots=4)
PLAN = AgreedPlan(
    round=3,
    residual_load_kwh=[3, 3, 3, 3],
    stored_kwh=[7, 5, 7, 5],
    import_price_eur_per_kwh=[0.2, 0.4, 0.1, 0.3],
    export_price_eur_per_kwh=[0.05] * 4,
)


def finished(
    folder: Path, plan: AgreedPlan | None = PLAN, battery: bool = True, strategy="optimised"
) -> Path:
    """A run of one member whose agreed plan is given."""
    directory = RunDirectory(folder / "run")
    config = MemberConfig(
        name="house",
        kind="house",
        strategy=strategy,
        trades=True,
        battery=Battery(
            capacity_kwh=10,
            soc_min=0,
            soc_max=1,
            soc_end_min=0.5,
            charge_limit_kw=2,
            discharge_limit_kw=2,
        )
        if battery
        else None,
        pv=None,
        seed=1,
        timing=Timing(),
        clock=ClockConfig(),
        sessions=[MemberSession(horizon=HORIZON, load_kwh=[3.0] * 4)],
        roles=["load"],
    )
    row = [0.0] * 4
    session = MemberSessionRecord(
        session=0,
        load_kwh=row,
        pv_kwh=row,
        battery_charge_kwh=row,
        battery_discharge_kwh=row,
        stored_kwh=row,
        net_kwh=row,
        planned_net_kwh=row,
        alone_net_kwh=row,
        quality=["metered"] * 4,
        meter=[""] * 4,
        rounds_planned=4,
        planning_seconds=0.0,
        plan=plan,
    )
    directory.member_config("house").parent.mkdir(parents=True)
    directory.member_record("house").parent.mkdir(parents=True)
    config.save(directory.member_config("house"))
    record = MemberRecord(
        member="house", kind="house", strategy=strategy, battery_capacity_kwh=10, sessions=[session]
    )
    record.save(directory.member_record("house"))
    return directory.path


def explain(run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime", "explain", str(run), *arguments], capture_output=True, text=True
    )


def test_every_slot_in_plain_words(tmp_path: Path) -> None:
    done = explain(finished(tmp_path), "house")
    assert done.stdout.splitlines() == [
        "00:00 charges 2 kWh: import costs 0.20 EUR/kWh, less than the 0.30 EUR/kWh that a kWh drawn now is "
        "worth at 03:00; the power limit of 2 kW binds.",
        "01:00 discharges 2 kWh: import costs 0.40 EUR/kWh, more than the 0.10 EUR/kWh that the stored "
        "energy is worth until it can be charged again at 02:00; the power limit of 2 kW binds.",
        "02:00 charges 2 kWh: import costs 0.10 EUR/kWh, less than the 0.30 EUR/kWh that a kWh drawn now is "
        "worth at 03:00; the power limit of 2 kW binds.",
        "03:00 discharges 2 kWh: import costs 0.30 EUR/kWh, more than the 0.00 EUR/kWh that the stored "
        "energy is worth at the end of the horizon; the rest is needed to end at SOC 50 %.",
    ], done.stderr


def test_one_slot_by_its_time_or_number_and_as_json(tmp_path: Path) -> None:
    run = finished(tmp_path)
    by_time, by_number = explain(run, "house", "02:00"), explain(run, "house", "2")
    assert by_time.stdout == by_number.stdout
    assert by_time.stdout.startswith("02:00 charges 2 kWh")
    found = json.loads(explain(run, "house", "2", "--json").stdout)
    (slot,) = found["slots"]
    assert (found["round"], slot["slot"], slot["binding"]) == (3, 2, "power-limit")
    assert slot["less"]["later_eur_per_kwh"] == pytest.approx(0.3)


def test_the_rule_and_members_without_battery(tmp_path: Path) -> None:
    lazy = PLAN.model_copy(update={"stored_kwh": [5.0, 5.0, 5.0, 5.0]})
    lines = explain(finished(tmp_path, lazy, strategy="rule"), "house", "1").stdout.splitlines()
    assert lines == [
        "The battery follows the rule (surplus in, deficit out), whatever the prices.",
        "01:00 rests: import costs 0.40 EUR/kWh; storing a kWh less would have gained 0.30 EUR/kWh at 02:00.",
    ]
    (tmp_path / "second").mkdir()
    alone = finished(tmp_path / "second", PLAN.model_copy(update={"stored_kwh": None}), battery=False)
    assert explain(alone, "house", "0").stdout == (
        "00:00 imports 3 kWh: the member has no battery to store or give energy.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hose"], "MEMBER: found 'hose', expected one of house"),
        (
            ["house", "02:30"],
            "SLOT: found '02:30', expected the start of a slot of 60 min from 00:00 to 03:00",
        ),
        (["house", "--session", "2"], "found 1 sessions, expected session 2 among them"),
        (["house", "--session", "0"], "--session: found 0, expected 1 or more"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = explain(finished(tmp_path), *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_session_without_an_answered_price_signal(tmp_path: Path) -> None:
    done = explain(finished(tmp_path, None), "house")
    assert done.returncode == 2
    assert "answered no price signal in time" in done.stderr


def test_a_run_without_the_members_record_is_told_from_others(tmp_path: Path) -> None:
    run = RunDirectory(finished(tmp_path))
    run.member_record("house").unlink()
    for file, message in (
        (None, "prepared, but not run yet: there is no plan of house to explain"),
        (run.log("house"), "the run has not ended yet; house writes its record when it does"),
        (run.coordinator_record, "the run ended without a record of house, so its plan is not known"),
    ):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}")
        done = explain(run.path, "house")
        assert (done.returncode, done.stdout) == (2, "")
        assert message in " ".join(done.stderr.split())
    done = explain(tmp_path, "house")
    assert done.returncode == 2
    assert "expected the directory of a run" in done.stderr


def test_slots_by_name() -> None:
    assert [slot_named(name, HORIZON) for name in ("0", "3", "01:00", "2024-06-18T02:00")] == [0, 3, 1, 2]
    with pytest.raises(InputError, match="found '4'"):
        slot_named("4", HORIZON)
