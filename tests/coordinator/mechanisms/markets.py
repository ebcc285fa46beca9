"""Random positions and tariffs."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from coordinator.costs import CommunityTariff


@st.composite
def markets(
    draw: st.DrawFn, *, limited: bool = False, export_from: float = -0.2
) -> tuple[np.ndarray, CommunityTariff]:
    """Positions, shape (members, slots), and a tariff with a fee, some slots suspended."""
    members, slots = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    energy = st.integers(-100_000, 100_000).map(lambda steps: steps / 1000)
    net_kwh = draw(arrays.arrays(float, (members, slots), elements=energy))
    buy = draw(arrays.arrays(float, slots, elements=st.integers(100, 500).map(lambda steps: steps / 1000)))
    sell_price = st.integers(round(export_from * 1000), 300).map(lambda steps: steps / 1000)
    sell = draw(arrays.arrays(float, slots, elements=sell_price))
    limits = {}
    if limited:
        limit = st.none() | st.floats(0, 100)
        limits = {"import_limit_kw": draw(limit), "export_limit_kw": draw(limit)}
        limits["excess_price_eur_per_kwh"] = draw(st.sampled_from([0.0, 0.05, 0.3]))
    fee = draw(st.sampled_from([0.0, 0.02, 0.1]))
    return net_kwh, CommunityTariff.of(buy, sell, 0.5, local_fee_eur_per_kwh=fee, **limits)
