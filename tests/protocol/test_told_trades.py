"""A trade is told with the slots alone in which there is energy, and understood as it was."""

from __future__ import annotations

import numpy as np

from coordinator.trades import reported_trade
from runtime.protocol.told_trades import told_trade


def test_a_trade_comes_back_over_all_slots_without_prices_of_nothing() -> None:
    taken_kwh = np.array([0.0, 1.25, 0.0, -0.5, 0.0])
    told = told_trade("mill", taken_kwh, np.array([0.1, 0.2, 0.3, 0.15, 0.4]))
    assert (told.partner, told.slots) == ("mill", [1, 3])
    assert (told.purchase_kwh, told.sale_kwh) == ([1.25, 0.0], [0.0, 0.5])
    again = reported_trade(told, taken_kwh.size)
    assert again.energy_kwh.tolist() == taken_kwh.tolist()
    assert again.price_eur_per_kwh.tolist() == [0.0, 0.2, 0.0, 0.15, 0.0]


def test_a_trade_of_nothing_names_no_slot() -> None:
    told = told_trade("mill", np.zeros(3), np.ones(3))
    assert (told.slots, told.purchase_kwh, told.sale_kwh, told.price_eur_per_kwh) == ([], [], [], [])
