"""Database, figures' series and notices of a session with contracts, fee, limit and demand charge."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from test_ledger_charges import GOOD, NET

from runtime.results.database import write_database
from runtime.results.series import community_series
from runtime.results.summary import notices
from runtime.results.tables import tables

SESSION = GOOD.sessions[0]
NOTHING_KNOWN = {
    "definitions": {},
    "run": {"community": {"members_worse_off": None}, "members": {}},
    "sessions": [],
}


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(write_database(tmp_path / "results.sqlite", tables(GOOD, {}), NOTHING_KNOWN))


def paid(*kinds: str) -> float:
    return float(sum(e.amount_eur for e in SESSION.ledger if e.kind in kinds))


def test_the_views_tell_contracts_fees_and_charges(database: sqlite3.Connection) -> None:
    rows = database.execute(
        "SELECT local_trade_kwh, contract_kwh, excess_kwh, local_price_eur_per_kwh "
        "FROM exchange_by_slot ORDER BY slot"
    ).fetchall()
    # slot 0: one gives 1, two take; slot 1: 1.5 taken of 4 given; slot 2: no pool
    assert rows[0] == pytest.approx((1.0, 0.75, 4.0 - 1.0, 0.2))
    assert rows[1] == pytest.approx((1.5, 0.75, 2.5 - 0.5, 0.16))
    assert rows[2] == (0.0, 0.0, pytest.approx(0.75 - 0.5), None)
    grid, network = database.execute(
        "SELECT SUM(paid_to_grid_eur), SUM(paid_to_network_eur) FROM exchange_by_slot"
    ).fetchone()
    assert grid == pytest.approx(paid("grid-import", "excess-charge", "demand-charge") - paid("grid-export"))
    assert network == pytest.approx(paid("local-fee"))
    bill = database.execute(
        "SELECT local_fee_eur, excess_charge_eur, demand_charge_eur FROM bill_by_member WHERE member = 'm0'"
    ).fetchone()
    cents = {item.kind: float(item.amount_eur) for item in SESSION.bills[0].items}
    assert bill == pytest.approx((cents["local-fee"], cents["excess-charge"], cents["demand-charge"]))
    assert database.execute("SELECT COUNT(*) FROM contracts").fetchone() == (4,)


def test_local_trade_of_the_figures_counts_contracts() -> None:
    series = community_series(GOOD)
    np.testing.assert_allclose(series.local_kw * 0.5, [1.0, 1.5, 0.0])
    # 0.5 at 0.2, 0.25 at 0.22 and 0.25 from the pool at 0.2
    assert series.local_price_eur_per_kwh[0] == pytest.approx(0.5 * 0.2 + 0.25 * 0.22 + 0.25 * 0.2)
    assert np.isnan(series.local_price_eur_per_kwh[2])
    np.testing.assert_allclose((series.import_kw - series.export_kw) * 0.5, NET.sum(axis=0))


def test_what_is_above_the_limit_is_a_notice() -> None:
    (notice,) = [text for text in notices(GOOD, NOTHING_KNOWN) if "limit" in text]
    assert notice.startswith(
        "Above the limit of the community's connection in 3 slots: 5.25 kWh, charged with 3.6"
    )
    dear = SESSION.grid.model_copy(update={"local_fee_eur_per_kwh": SESSION.grid_import_price_eur_per_kwh[0]})
    suspended = SESSION.model_copy(update={"suspended_slots": [0], "grid": dear})
    (notice,) = [
        t for t in notices(GOOD.model_copy(update={"sessions": [suspended]}), NOTHING_KNOWN) if "susp" in t
    ]
    assert "what trade would spare is below the local fee there" in notice
