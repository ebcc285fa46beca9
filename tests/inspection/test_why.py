import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.inspection.slot_words import _forecast, _rule
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

runner = CliRunner()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = tmp_path_factory.mktemp("why") / "village"
    community = Community(seed=11, members=5, slots=6, sessions=2)
    directory = leave_behind(community, path)
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return directory


@pytest.mark.parametrize("member", ["m0", "m1", "m2", "m3", "m4"])
def test_numbers_are_those_of_the_records(run: RunDirectory, member: str) -> None:
    said = runner.invoke(app, ["why", str(run.path), member, "4", "--session", "2", "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    record = CoordinatorRecord.load(run.coordinator_record).sessions[1]
    own = MemberRecord.load(run.member_record(member)).sessions[1]
    assert told["start"] == record.horizon.local(4).isoformat()
    assert [seen["import_price_eur_per_kwh"] for seen in told["rounds"]] == pytest.approx(
        [held.import_price_eur_per_kwh[4] for held in record.rounds[: len(told["rounds"])]]
    )
    assert told["agreement"]["net_kwh"] == pytest.approx(record.agreed_net_kwh[member][4], abs=1e-9)
    assert told["forecast"]["net_kwh"] == own.net_kwh[4]
    paid = sum(entry.paid_eur(member) for entry in record.ledger if entry.slot == 4)
    assert Decimal(told["bill_line"]["amount_eur"]) == paid
    net = [each.net_kwh for each in record.deliveries if each.slot == 4]
    assert Decimal(told["community"]["taken_kwh"]) == sum(energy for energy in net if energy > 0)
    reading = told["readings"][0]
    assert reading["meter"] == f"{member}.meter@village.test"
    assert reading.get("load", 0.0) == pytest.approx(own.load_kwh[4])


def test_the_page_has_its_parts_and_its_money_adds_up(run: RunDirectory) -> None:
    said = runner.invoke(app, ["why", str(run.path), "m1", "2"])
    lines = said.stdout.splitlines()
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles[0].startswith("m1, Wednesday 15 January 2025, 02:00 to 02:30")
    assert titles[1:] == ["Forecast", "Prices seen", "Plan", "Meter", "Settled"]
    assert "  round 0: " in said.stdout
    assert "(the grid's tariffs)" in said.stdout


def test_the_money_of_every_slot_adds_up(run: RunDirectory) -> None:
    parts = []
    for member in ("m0", "m1", "m2", "m3", "m4"):
        lines = runner.invoke(app, ["why", str(run.path), member, "3"]).stdout.splitlines()
        amounts = [
            Decimal(line.split()[-2]) * (1 if " pays " in line else -1)
            for line in lines
            if line.endswith(" EUR") and (" pays " in line or " receives " in line)
        ]
        assert sum(amounts[:-1]) == pytest.approx(amounts[-1], abs=Decimal("0.000003"))
        parts.append(len(amounts) - 1)
    assert max(parts) == 2


def test_while_it_runs_it_tells_what_there_is(run: RunDirectory, tmp_path: Path) -> None:
    going = RunDirectory(tmp_path / "going")
    going.logs_dir.mkdir(parents=True)
    whole = run.log("m1").read_bytes().splitlines(keepends=True)
    agreed = next(place for place, line in enumerate(whole) if b'\\"agreement\\"' in line)
    going.log("m1").write_bytes(b"".join(whole[: agreed + 1]))
    said = runner.invoke(app, ["why", str(going.path), "m1", "2"])
    assert said.exit_code == 0, said.output
    assert "nothing was delivered (yet)" in said.stdout
    assert "no bill line" in said.stdout
    assert "agreed in round" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nobody", "2"], "MEMBER: found 'nobody', expected one of coordinator, m0"),
        (["m1", "99"], "SLOT: found '99'"),
        (["m1", "2", "--session", "3"], "--session: found 3, expected 1 to 2"),
    ],
)
def test_what_is_not_there_is_named(run: RunDirectory, arguments: list[str], complaint: str) -> None:
    said = runner.invoke(app, ["why", str(run.path), *arguments])
    assert isinstance(said.exception, InputError)
    assert complaint in str(said.exception)


@pytest.mark.parametrize(
    ("taken", "given", "contracts", "traded", "how"),
    [
        (1, 4, 0, "1", "givers sold 25.0 % of what each gave, and the rest went to the grid"),
        (3, 2, 0, "2", "takers bought 66.7 % of what each took, and the rest came from the grid"),
        (
            *(1, 4, 2, "1"),
            "contracts come first; beyond them givers sold the same part of what each gave, and the rest "
            "went to the grid",
        ),
    ],
)
def test_how_a_slot_is_shared_out_is_said_plainly(
    taken: int, given: int, contracts: int, traded: str, how: str
) -> None:
    community = {"suspended": False, "contracts": contracts}
    said = _rule(community, Decimal(taken), Decimal(given))
    assert said == f"so neighbours could trade {traded} kWh: {how}"


def test_contracts_are_spoken_of_only_where_there_are_some(run: RunDirectory) -> None:
    told = json.loads(runner.invoke(app, ["why", str(run.path), "m1", "2", "--json"]).stdout)
    record = CoordinatorRecord.load(run.coordinator_record)
    assert told["community"]["contracts"] == 0 == len(record.sessions[0].contracts)
    assert "contract" not in runner.invoke(app, ["why", str(run.path), "m1", "2"]).stdout


def test_what_came_as_foreseen_is_not_off_by_minus_zero() -> None:
    own = {"method": None, "foreseen_residual_load_kwh": -1.902, "load_kwh": 0.5801, "pv_kwh": 2.4823}
    (said,) = _forecast({"forecast": own})
    assert said == "load less production -1.902 kWh (told, as the scenario has no forecast); and so it came"
    (said,) = _forecast({"forecast": own | {"load_kwh": 0.9}})
    assert said.endswith("it came to -1.582 kWh, +0.320 off")
