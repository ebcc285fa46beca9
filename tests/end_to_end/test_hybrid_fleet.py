"""Two communities as processes over XMPP: on the paper's case, also with either coordinator killed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from runtime.rundir import COORDINATORS
from runtime.scenario.load import BUILTIN
from tests.end_to_end.fleets import call, fleet, records_of

TABLES = ("ledger.csv", "bills.csv", "contracts.csv", "exchanges.csv")


@pytest.fixture(scope="module")
def runs(lorient_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same scenario three times; in two runs one of the coordinators is killed in a slot."""
    folder = tmp_path_factory.mktemp("hybrid")
    text = (BUILTIN / "lorient.toml").read_text(encoding="utf-8")
    text = text.replace('mechanism = "admm"', 'mechanism = "hybrid"')
    for name, community in {"building-1": "port", "building-2": "port"}.items():
        text = text.replace(f'name = "{name}"', f'name = "{name}"\ncommunity = "{community}"')
    for name in ("building-3", "building-4"):
        text = text.replace(f'name = "{name}"', f'name = "{name}"\ncommunity = "town"')
    scenario = folder / "lorient-hybrid.toml"
    scenario.write_text(text, "utf-8")
    for name in ("calm", *COORDINATORS):
        with fleet(scenario, folder, "--data", lorient_folder, "--json", name=name) as run:
            if name in COORDINATORS:
                run.await_logged(name, lambda record: slot_of(record) == 5, "slot 5")
                run.kill(name)
            run.succeed()
    return {name: folder / name for name in ("calm", *COORDINATORS)}


def slot_of(record: dict[str, object]) -> int | None:
    """Slot of an exchange that a coordinator proposes or accepts; None for another record."""
    if record["kind"] == "out" and record.get("protocol") == "communities":
        body = json.loads(str(record["body"]))
        if body["type"] == "metered-exchange":
            return int(body["slot"])
    return None


def test_each_coordinator_is_a_process_of_its_own_with_its_own_members(runs: dict[str, Path]) -> None:
    for account, members in zip(
        COORDINATORS, (["building-1", "building-2"], ["building-3", "building-4"]), strict=True
    ):
        told = {
            str(record["to"]).partition("@")[0]
            for record in records_of(runs["calm"], account)
            if record["kind"] == "out"
        }
        other = next(each for each in COORDINATORS if each != account)
        assert told == {*members, other}


def test_the_results_show_both_communities_and_the_money_is_proven(runs: dict[str, Path]) -> None:
    for name, run in runs.items():
        indicators = json.loads((run / "indicators.json").read_bytes())["run"]
        assert indicators["community"]["members_worse_off"] == 0
        port, town = (indicators["communities"][each] for each in ("port", "town"))
        assert port["alone_slots"] == town["alone_slots"] == 0
        assert port["from_other_kwh"] == pytest.approx(town["to_other_kwh"])
        with (run / "exchanges.csv").open() as file:
            exchanged = [row for row in csv.DictReader(file) if row["community"] == "town"]
        assert len(exchanged) == indicators["communities"]["town"]["together_slots"]
        verified = call("verify", run, timeout_s=120)
        assert verified.returncode == 0, f"{name}: {verified.stdout}{verified.stderr}"


@pytest.mark.parametrize("killed", COORDINATORS)
def test_a_coordinator_killed_in_a_slot_goes_on_and_the_ledger_is_the_same(
    runs: dict[str, Path], killed: str
) -> None:
    names = [record.get("name") for record in records_of(runs[killed], killed)]
    assert "log-continued" in names
    for table in TABLES:
        assert (runs[killed] / table).read_bytes() == (runs["calm"] / table).read_bytes(), table
