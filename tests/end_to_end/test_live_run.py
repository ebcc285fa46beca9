"""A real fleet on the live clock: minutes that have passed are caught up with, the last one is waited for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runtime.records import CoordinatorRecord
from tests.end_to_end.fleets import call, fleet, ledger_of
from tests.end_to_end.street import write_street

SLOTS, AHEAD_S = 16, 25.0


def test_a_live_rolling_run_begun_in_the_middle_of_a_day_ends_when_its_last_slot_does(tmp_path: Path) -> None:
    text = write_street(tmp_path).read_text(encoding="utf-8")
    begin, end = text.index("[clock]"), text.index("[[member]]")
    text = text[:begin] + '[clock]\nkind = "live"\n\n' + text[end:]
    text = text.replace("slot_minutes = 15\nslots = 16\n", "slot_minutes = 1\nslots = 16\n")
    street = tmp_path / "street.toml"
    street.write_text(text, encoding="utf-8")
    ends = datetime.now(UTC) + timedelta(seconds=AHEAD_S)
    start = (ends - timedelta(minutes=SLOTS)).isoformat()
    with fleet(street, tmp_path, "--start", start) as run:
        told = run.succeed()
        assert time.time() >= ends.timestamp()
    assert "after its first slot had ended" in told
    (session,) = CoordinatorRecord.load(run.path / "records" / "coordinator.json").sessions
    assert session.horizon.slot_end(SLOTS - 1) == ends
    assert {row["slot"] for row in ledger_of(run.path)} == {str(slot) for slot in range(SLOTS)}
    assert {delivery.quality for delivery in session.deliveries} == {"metered"}
    assert call("verify", run.path).returncode == 0
