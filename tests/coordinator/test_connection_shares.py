"""Shares of the community's connection: they add up to its limit and follow what members take alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from coordinator.connection_shares import connection_shares
from coordinator.costs import CommunityTariff
from tests.coordinator.mechanisms.markets import markets


@settings(deadline=None)
@given(market=markets(limited=True))
def test_shares_add_up_to_the_limit_and_give_nobody_more_than_another_who_takes_more(
    market: tuple[np.ndarray, CommunityTariff],
) -> None:
    net_kwh, tariff = market
    shares = connection_shares(net_kwh, tariff)
    limits = (("import_kwh", tariff.import_limit_kwh, 1), ("export_kwh", tariff.export_limit_kwh, -1))
    for name, limit, sign in limits:
        own = [getattr(share, name) for share in shares]
        if not shares or own[0] is None:
            assert np.isinf(limit).all() or not tariff.excess_price_eur_per_kwh or not shares
            continue
        rows = np.array(own)
        assert rows.sum(axis=0) == pytest.approx(limit, rel=1e-9, abs=1e-9)
        assert (rows >= 0).all()
        wanted = np.maximum(sign * net_kwh, 0.0)
        over = wanted.sum(axis=0) > limit
        assert (rows <= wanted + 1e-9)[:, over].all()
        assert (rows >= wanted - 1e-9)[:, ~over].all()


def test_shares_by_hand() -> None:
    tariff = CommunityTariff.of(
        [0.3, 0.3], [0.1, 0.1], 1.0, import_limit_kw=6.0, excess_price_eur_per_kwh=1.0
    )
    first, second, third = connection_shares(np.array([[6.0, 2.0], [2.0, 0.0], [-5.0, 0.0]]), tariff)
    assert first.import_kwh == pytest.approx([4.5, 2 + 4 * 0.8])  # 6 of 8 kWh; what is left by 4 : 1 : 0
    assert second.import_kwh == pytest.approx([1.5, 4 * 0.2])
    assert third.import_kwh == pytest.approx([0.0, 0.0])
    assert first.export_kwh is None
    unlimited = CommunityTariff.of([0.3], [0.1], 1.0)
    assert connection_shares(np.array([[1.0]]), unlimited) == ()
