import contextlib
import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agents.meters.machine import AttachedMeterMachine
from coordinator.verification.command import verification
from runtime.grid_terms import GridTerms
from runtime.inspection.proof import verify_run
from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import check_logs
from runtime.rundir import COORDINATOR, RunDirectory
from tests.machines.communities import DOMAIN, Community
from tests.machines.logged import body_of, forge, forge_bodies, leave_behind
from tests.machines.network import Network

GRID = GridTerms(
    local_fee_eur_per_kwh=Decimal("0.011"),
    import_limit_kw=Decimal("2.5"),
    export_limit_kw=Decimal("2"),
    excess_price_eur_per_kwh=Decimal("0.3"),
    demand_charge_eur_per_kw=Decimal("0.07"),
)


class PlayedSource:
    """A device that measured what the simulated meter would have."""

    immediate = True

    def __init__(self, energies_kwh: list[dict[str, list[float]]]) -> None:
        self._energies_kwh = energies_kwh
        self.roles = frozenset(energies_kwh[0])

    def read(self, session: int, slot: int, horizon: Any, role: str) -> float:
        return self._energies_kwh[session][role][slot]


class WithDevice(Community):
    """A community in which a device of m2's own is attached as its meter."""

    def put_on(self, network: Network) -> None:
        super().put_on(network)
        energies_kwh = self.metered_kwh["m2"]
        jids = f"m2.meter2@{DOMAIN}", f"m2@{DOMAIN}"
        source = PlayedSource(energies_kwh)
        network.add(
            AttachedMeterMachine(
                *jids, source, "played:", sorted(energies_kwh[0]), self.horizons, id_prefix="d3v1c3-"
            )
        )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two sessions with everything that can be on a bill but contracts and sharing."""
    path = tmp_path_factory.mktemp("run") / "village"
    leave_behind(WithDevice(seed=7, members=5, slots=6, sessions=2, grid=GRID), path)
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finished, tmp_path / "village"))


def texts(run: RunDirectory, member: str | None = None) -> list[str]:
    """All findings, of the logs and of the settlement."""
    paths = log_paths(run.logs_dir) if member is None else [run.log(member)]
    found = [f"{finding.kind}: {finding.text}" for finding in check_logs(paths).findings]
    if member is not None:
        found = [text for text in found if not text.startswith("no-log")]
    said: list[str] = found + verification(run.path, member)["findings"]
    return said


# -- what is true is proven ----------------------------------------------------------------------------


def test_a_good_run_is_proven_and_counted(run: RunDirectory) -> None:
    assert texts(run) == []
    proof = verification(run.path)["proof"]
    counted = {name: proof[name] for name in ("sessions", "slots", "deliveries", "lines", "bills")}
    assert counted == {"sessions": 2, "slots": 12, "deliveries": 60, "lines": 60, "bills": 10}
    assert proof["missing"] == 0
    with run.ledger_csv.open() as file:
        assert proof["entries"] == len(list(csv.DictReader(file)))
    with run.bills_csv.open() as file:
        assert Decimal(proof["billed_eur"]) == sum(Decimal(row["amount_eur"]) for row in csv.DictReader(file))


@pytest.mark.parametrize(
    ("mechanism", "parameters"),
    [
        ("bill-sharing", {"period": "day", "opt_out_passes": 0}),
        ("bilateral", {}),
        ("block-tariff", {}),
        ("grid-only", {}),
    ],
)
def test_every_kind_of_settlement_is_proven(
    tmp_path: Path, mechanism: str, parameters: dict[str, Any]
) -> None:
    community = Community(seed=3, members=4, slots=5, mechanism=mechanism, parameters=parameters, grid=GRID)
    run = leave_behind(community, tmp_path)
    record = json.loads(run.coordinator_record.read_text())["sessions"][0]
    kinds = {entry["kind"] for entry in record["ledger"]}
    assert {"bill-sharing": "sharing", "bilateral": "contract"}.get(mechanism, "grid-import") in kinds
    assert texts(run) == []
    for name in record["agreed_net_kwh"]:
        assert texts(run, name) == []


@pytest.mark.parametrize("period", ["slot", "day"])
def test_that_members_are_settled_apart_is_proven_too(tmp_path: Path, period: str) -> None:
    community = Community(seed=0, members=4, slots=5, mechanism="bill-sharing", parameters={"period": period})
    run = leave_behind(community, tmp_path)
    record = json.loads(run.coordinator_record.read_text())["sessions"][0]
    assert record["apart"] == ["m0", "m3"]
    assert {entry["member"] for entry in record["ledger"] if entry["kind"] == "local-purchase"}
    for name in (None, *record["agreed_net_kwh"]):
        assert texts(run, name) == []
    claimed = run.coordinator_record.read_text().replace('"apart":["m0","m3"]', '"apart":["m0"]')
    run.coordinator_record.write_text(claimed)
    assert any("apart" in text for text in texts(run))


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_repetition_are_no_fault(tmp_path: Path, seed: int) -> None:
    community = Community(seed=seed, members=3, slots=4)
    run = leave_behind(community, tmp_path, loss=0.15, doubling=0.2)
    said = [text for text in texts(run) if "not-received" not in text]
    assert said == []
    assert check_logs(log_paths(run.logs_dir)).audit.tally.duplicates > 0


def test_members_verify_their_own_bills_from_their_own_log(run: RunDirectory) -> None:
    for name in ("m0", "m1", "m2", "m3", "m4"):
        alone = RunDirectory(run.path.parent / name)
        alone.logs_dir.mkdir(parents=True)
        shutil.copy(run.log(name), alone.log(name))
        answer = verification(alone.path, name)
        assert answer["findings"] == []
        assert answer["proof"]["slots"] == 12
        with run.bills_csv.open() as file:
            own = [Decimal(row["amount_eur"]) for row in csv.DictReader(file) if row["member"] == name]
        assert Decimal(answer["proof"]["billed_eur"]) == sum(own)


# -- what is changed in a log is found, whoever's log it is --------------------------------------------


def rehash(edit: Callable[[list[dict[str, Any]]], None]) -> Callable[[Path], None]:
    return lambda log: forge(log, edit)


def lines_of(edit: Callable[[list[bytes]], None]) -> Callable[[Path], None]:
    def change(log: Path) -> None:
        lines = log.read_bytes().splitlines(keepends=True)
        edit(lines)
        log.write_bytes(b"".join(lines))

    return change


def middle(records: list[dict[str, Any]]) -> int:
    """A message in the middle."""
    return next(place for place in range(len(records) // 2, len(records)) if "body" in records[place])


def drop(records: list[dict[str, Any]]) -> None:
    del records[middle(records)]


def duplicate(records: list[dict[str, Any]]) -> None:
    records.insert(middle(records) + 1, dict(records[middle(records)]))


def invent(records: list[dict[str, Any]]) -> None:
    records.append({**records[middle(records)], "id": "987654"})


def change_body(records: list[dict[str, Any]]) -> None:
    fields = records[middle(records)]
    fields["body"] = fields["body"][:-1] + " }"


def change_recipient(records: list[dict[str, Any]]) -> None:
    fields = records[middle(records)]
    end = "to" if fields["kind"] == "out" else "from"
    fields[end] = fields[end].replace("@", "x@")


TAMPERINGS = {
    "changed byte": (
        lines_of(lambda ls: ls.__setitem__(9, ls[9].replace(b"session", b"sessiom", 1))),
        "line 10",
    ),
    "dropped line": (lines_of(lambda ls: ls.__delitem__(9)), "line 10: expected record 9, found record 10"),
    "doubled line": (lines_of(lambda ls: ls.insert(9, ls[9])), "line 11: expected record 10, found record 9"),
    "swapped lines": (
        lines_of(lambda ls: ls.insert(9, ls.pop(10))),
        "line 10: expected record 9, found record 10",
    ),
    "cut end": (lines_of(lambda ls: ls.__setitem__(-1, ls[-1][:-20])), "the last line has no end"),
    "dropped, hashes anew": (rehash(drop), "not-"),
    "doubled, hashes anew": (rehash(duplicate), ("two-effects", "unmarked-resend")),
    "invented, hashes anew": (rehash(invent), "not-"),
    "changed, hashes anew": (rehash(change_body), "altered"),
    "readdressed, hashes anew": (rehash(change_recipient), ("not-", "altered", "no-log")),
}


@pytest.mark.parametrize("agent", [COORDINATOR, "m1", "m1.meter", "m2.meter2"])
@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_with_any_log_is_found_and_named(run: RunDirectory, agent: str, tampering: str) -> None:
    tamper, expected = TAMPERINGS[tampering]
    tamper(run.log(agent))
    found = texts(run)
    wanted = (expected,) if isinstance(expected, str) else expected
    assert any(part in found[0] for part in wanted), found[0]
    assert any(agent in text for text in found[:2])


def test_a_message_from_who_may_not_send_it_is_found_unless_refused(run: RunDirectory) -> None:
    """A member's bill line to another, in both their logs, with all hashes anew."""
    fields = next(
        f
        for f in map(json.loads, run.log("m2").read_bytes().splitlines())
        if "bill-line" in f.get("body", "")
    )
    forged = {**fields, "from": fields["from"].replace(COORDINATOR, "m1"), "id": "5555", "re": None}
    forge(run.log("m2"), lambda records: records.append({**forged, "kind": "in"}))
    forge(run.log("m1"), lambda records: records.append({**forged, "kind": "out"}))
    (found,) = texts(run)
    assert found.startswith("not-allowed: inform '5555'")
    assert found.endswith("a member may not send bill-line to a member")
    refusal = {**forged, "kind": "out", "from": forged["to"], "to": forged["from"], "performative": "refuse"}
    refusal |= {"id": "6666", "re": "5555", "body": '{"type":"reason","reason":"no"}'}
    forge(run.log("m2"), lambda records: records.append(refusal))
    forge(run.log("m1"), lambda records: records.append({**refusal, "kind": "in"}))
    assert texts(run) == []


def test_a_meter_of_somebody_else_is_found(run: RunDirectory) -> None:
    forged: dict[str, Any] = {}

    def readdress(records: list[dict[str, Any]]) -> None:
        fields = next(f for f in records if body_of(f).get("type") == "reading")
        fields["from"] = fields["from"].replace("m1.meter", "m2.meter")
        fields["id"] = "7777"
        forged.update(fields)

    forge(run.log("m1"), readdress)
    assert any(
        "a meter may speak with its own member only, not m2.meter with m1" in text for text in texts(run)
    )


# -- a conspiracy of both ends is found by the settlement ----------------------------------------------


def test_a_bill_line_forged_at_both_ends_is_named(run: RunDirectory) -> None:
    def cheaper(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if body["type"] != "bill-line" or body["slot"] != 3 or body["session"] != 1:
            return False
        if not fields["to"].startswith("m1@"):
            return False
        body["amount_eur"] = str(Decimal(body["amount_eur"]) - 1)
        return True

    assert forge_bodies(run, [COORDINATOR, "m1"], cheaper) == 2
    (found,) = texts(run)
    assert "coordinator.jsonl, record" in found
    assert "bill-line" in found
    assert "to m1@village.test: amount_eur: found" in found
    own = texts(run, "m1")
    assert "m1.jsonl" in own[0]
    assert "amount_eur" in own[0]


def test_a_delivery_forged_at_both_ends_is_named_by_the_bill_line_that_it_does_not_make(
    run: RunDirectory,
) -> None:
    def more(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if (body["type"], body.get("session"), body.get("slot")) != ("delivery", 0, 2):
            return False
        if not fields["from"].startswith("m1@"):
            return False
        side = "grid_export_kwh" if Decimal(body["grid_export_kwh"]) else "grid_import_kwh"
        body[side] = str(Decimal(body[side]) + 1)
        return True

    assert forge_bodies(run, [COORDINATOR, "m1"], more) == 2
    found = texts(run)
    assert any("bill-line" in text and "to m1@" in text for text in found)
    assert any("deliveries.csv, line" in text for text in found)
    assert any("energy" in text for text in texts(run, "m1"))


def test_another_local_price_is_named(run: RunDirectory) -> None:
    def dearer(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if body["type"] != "agreement":
            return False
        body["local_price_eur_per_kwh"][1] = 0.321
        return True

    assert forge_bodies(run, [COORDINATOR, "m0", "m1", "m2", "m3", "m4"], dearer) == 20
    found = texts(run)
    assert "agreement" in found[0]
    assert "local_price_eur_per_kwh[1]: found 0.321, expected" in found[0]
    assert any("expected 0.321000000" in text for text in found)


def test_one_member_told_another_price_than_the_others_is_named(run: RunDirectory) -> None:
    def dearer(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if body["type"] != "agreement" or not fields["to"].startswith("m3@"):
            return False
        body["local_price_eur_per_kwh"][1] = 0.321
        return True

    forge_bodies(run, [COORDINATOR, "m3"], dearer)
    assert any(
        "to m3@village.test: local_price_eur_per_kwh: others were told other prices" in text
        for text in texts(run)
    )


def test_tariffs_other_than_the_published_ones_are_named(run: RunDirectory) -> None:
    def dearer(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if body["type"] != "price-signal" or body["round"] != 0 or not fields["to"].startswith("m3@"):
            return False
        body["import_price_eur_per_kwh"][4] = 0.999
        return True

    forge_bodies(run, [COORDINATOR, "m3"], dearer)
    found = texts(run)
    assert "price-signal" in found[0]
    assert "import_price_eur_per_kwh, slot 4: found 0.999" in found[0]


def test_a_bill_forged_at_both_ends_is_named(run: RunDirectory) -> None:
    def cheaper(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if body["type"] != "session-closed" or not fields["to"].startswith("m2@"):
            return False
        body["amount_eur"] = str(Decimal(body["amount_eur"]) + Decimal("0.02"))
        return True

    assert forge_bodies(run, [COORDINATOR, "m2"], cheaper) == 4
    found = texts(run)
    assert len(found) == 2
    assert "session-closed" in found[0]
    assert "amount_eur" in found[0]
    assert "session-closed" in texts(run, "m2")[0]


def test_a_delivery_left_out_by_the_coordinator_is_named(run: RunDirectory) -> None:
    """It settles a member as missing, though it delivered, and tells it nothing."""

    def without_line(records: list[dict[str, Any]]) -> None:
        place = next(
            place
            for place, fields in enumerate(records)
            if body_of(fields).get("type") == "bill-line" and "m4@" in fields["to"] + fields["from"]
        )
        del records[place]

    forge(run.log(COORDINATOR), without_line)
    forge(run.log("m4"), without_line)
    found = texts(run)
    assert any("expected bill-line" in text and text.endswith("which was not sent") for text in found)
    assert any("delivery" in text and text.endswith("was not answered with a bill line") for text in found)


# -- records and tables --------------------------------------------------------------------------------


def edit_csv(path: Path, line: int, old: str, new: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("".join(lines))


def test_forged_tables_are_named_by_line(run: RunDirectory) -> None:
    edit_csv(run.ledger_csv, 5, "member:", "member:x")
    edit_csv(run.bills_csv, 3, "2", "9")
    (run.path / "deliveries.csv").write_text(
        "".join((run.path / "deliveries.csv").read_text().splitlines(keepends=True)[:-1])
    )
    found = texts(run)
    assert [text.split(":")[0] for text in found] == [
        "deliveries.csv, line 61",
        "ledger.csv, line 5",
        "bills.csv, line 3",
    ]
    assert found[0].startswith("deliveries.csv, line 61: found no such line, expected '1,")


def test_lines_that_are_missing_or_added_put_no_other_in_the_wrong(run: RunDirectory) -> None:
    path = run.path / "deliveries.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:7], *lines[9:30], "0,99,,m9,1,0,,,,,\n", *lines[30:], lines[12]]))
    assert [text.partition(", expected ")[::2] for text in texts(run)] == [
        ("deliveries.csv, line 8: found no such line", repr(lines[7].strip())),
        ("deliveries.csv, line 8: found no such line", repr(lines[8].strip())),
        ("deliveries.csv, line 29: found '0,99,,m9,1,0,,,,,'", "no such line"),
        (f"deliveries.csv, line {len(lines)}: found {lines[12].strip()!r}", "no such line"),
    ]


def test_a_row_taken_out_of_the_database_is_named(run: RunDirectory) -> None:
    with contextlib.closing(sqlite3.connect(run.results_sqlite)) as database:
        database.execute("DELETE FROM ledger WHERE entry = 7")
        database.execute("UPDATE ledger SET amount_eur = '7.77' WHERE entry = 9")
        database.commit()
    missing, wrong = texts(run)
    assert missing.startswith("results.sqlite, table ledger, entry 7: found no such row, expected (7, ")
    assert wrong.startswith("results.sqlite, table ledger, entry 9: found (9, ")


def test_a_forged_record_is_named(run: RunDirectory) -> None:
    record = json.loads(run.coordinator_record.read_text())
    record["sessions"][1]["ledger"][4]["amount_eur"] = "123.456"
    record["sessions"][0]["bills"][2]["amount_eur"] = "-1.00"
    del record["sessions"][0]["deliveries"][-1]
    run.coordinator_record.write_text(json.dumps(record))
    found = texts(run)
    assert found[0] == "records/coordinator.json, session 0, deliveries: found 29 entries, expected 30"
    assert found[1].startswith(
        "records/coordinator.json, session 0, bills[2] (member m2): amount_eur: found -1.00"
    )
    assert found[2].startswith("records/coordinator.json, session 1, ledger[4] (slot")
    assert "found 123.456, expected" in found[2]


def test_a_broken_off_session_is_said_to_be_unfinished(run: RunDirectory) -> None:
    def cut(records: list[dict[str, Any]]) -> None:
        first = next(
            p for p, f in enumerate(records) if body_of(f).get("session") == 1 and body_of(f).get("slot") == 2
        )
        del records[first:]

    forge(run.log(COORDINATOR), cut)
    run.coordinator_record.unlink()
    answer = verification(run.path)
    assert answer["findings"] == []
    assert answer["unfinished"] == 1
    assert (answer["proof"]["sessions"], answer["proof"]["slots"]) == (1, 8)


def test_verify_run_asks_the_coordinators_side(run: RunDirectory) -> None:
    verdict = verify_run(run.path, log_paths(run.logs_dir))
    assert verdict.proven
    assert verdict.as_json()["settlement"]["proof"]["lines"] == 60
    drop_middle = TAMPERINGS["dropped line"][0]
    drop_middle(run.log(COORDINATOR))
    broken = verify_run(run.path, log_paths(run.logs_dir))
    assert [text for text in broken.findings if "coordinator.jsonl, line 10" in text] == [broken.findings[0]]
