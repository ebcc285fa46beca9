"""Trades over all slots as they are told: with the slots alone in which there is any."""

from __future__ import annotations

import numpy as np

from runtime.protocol.bargain_bodies import AgreedTrade
from runtime.protocol.pairs import Array, pair_of_net


def told_trade(partner: str, taken_kwh: Array, price_eur_per_kwh: Array) -> AgreedTrade:
    """A trade as a member reports it, and as its coordinator relays it.

    Args:
        partner: name of the other.
        taken_kwh: energy that the member takes > 0, gives < 0, shape (slots,).
        price_eur_per_kwh: what who takes pays who gives, shape (slots,); of no meaning without energy.
    """
    slots = np.flatnonzero(taken_kwh)
    purchase, sale = pair_of_net(taken_kwh[slots])
    return AgreedTrade(
        partner=partner,
        slots=slots.tolist(),
        purchase_kwh=purchase,
        sale_kwh=sale,
        price_eur_per_kwh=price_eur_per_kwh[slots].tolist(),
    )
