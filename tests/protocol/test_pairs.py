"""Signed inside, non-negative pairs outside: nothing is lost on the way and back."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.settlement import exchange_energy
from runtime.protocol.bodies import MeteredDelivery, Position, parse_body
from runtime.protocol.pairs import ENERGY_DECIMALS, exact_pair_of_net, net_of_pair, pair_of_net, rounded

ENERGY = st.floats(-1e6, 1e6)


@given(st.lists(ENERGY, max_size=6))
def test_a_pair_gives_back_the_net_energy_to_its_last_decimal(net_kwh: list[float]) -> None:
    imports, exports = pair_of_net(np.array(net_kwh))
    assert all(min(pair) == 0 <= max(pair) for pair in zip(imports, exports, strict=True))
    back = net_of_pair(imports, exports)
    assert back.dtype == np.float64
    assert back.tolist() == [round(energy, ENERGY_DECIMALS) for energy in net_kwh]
    again = Position(session=0, round=0, grid_import_kwh=imports, grid_export_kwh=exports)
    assert parse_body(again.to_json()) == again


@given(st.lists(ENERGY, max_size=6))
def test_energies_are_rounded_as_python_rounds_them(energies_kwh: list[float]) -> None:
    expected = [round(energy_kwh, ENERGY_DECIMALS) for energy_kwh in energies_kwh]
    assert list(map(repr, rounded(np.array(energies_kwh)))) == list(map(repr, expected))


@pytest.mark.parametrize("greatest_kwh", [1e-8, 1e-3, 5.0, 4e3, 5e3, 1e6, 1e9])
def test_many_energies_are_rounded_as_python_rounds_them(greatest_kwh: float) -> None:
    rng = np.random.default_rng(3)
    anywhere = rng.uniform(-greatest_kwh, greatest_kwh, 20_000)
    middles = (np.floor(anywhere * 1e9) + 0.5) / 1e9
    beside = np.nextafter(middles, rng.choice([-np.inf, np.inf], middles.size))
    # In rows of a slot each, else one doubtful energy would send all others the slow way.
    for energy_kwh in np.concatenate([anywhere, middles, beside]).reshape(-1, 1):
        assert repr(rounded(energy_kwh)[0]) == repr(round(float(energy_kwh[0]), ENERGY_DECIMALS))


@given(ENERGY)
def test_the_exact_pair_says_the_same_and_can_be_settled(net_kwh: float) -> None:
    imported, exported = exact_pair_of_net(net_kwh)
    assert min(imported, exported) == 0
    assert float(imported - exported) == round(net_kwh, ENERGY_DECIMALS)
    assert not str(imported).startswith("-")
    assert not str(exported).startswith("-")
    assert -imported.as_tuple().exponent <= ENERGY_DECIMALS
    delivery = MeteredDelivery(
        session=0, slot=0, grid_import_kwh=imported, grid_export_kwh=exported, quality="metered"
    )
    again = parse_body(delivery.to_json())
    assert isinstance(again, MeteredDelivery)
    net_kwh = {"a": again.grid_import_kwh - again.grid_export_kwh}
    (share,) = exchange_energy(net_kwh, pooled=True).shares
    assert share.grid_import_kwh - share.grid_export_kwh == imported - exported


@pytest.mark.parametrize(
    ("net_kwh", "pair"),
    [
        (1.5, ("1.500000000", "0")),
        (-0.1, ("0", "0.100000000")),
        (0.0, ("0", "0")),
        (-0.0, ("0", "0")),
        (4e-10, ("0", "0")),
        (-4e-10, ("0", "0")),
        (1e-9, ("1E-9", "0")),
        (123456.123456789, ("123456.123456789", "0")),
    ],
)
def test_exact_pairs_by_hand(net_kwh: float, pair: tuple[str, str]) -> None:
    assert exact_pair_of_net(net_kwh) == tuple(Decimal(text) for text in pair)
