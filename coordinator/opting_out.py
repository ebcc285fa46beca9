"""Who is better off alone: nobody's plan is to cost more in the community than without it.

At the agreed positions each member's bill is known. One whose bill would be above that of its plan alone goes
back to that plan; this changes the others' bills, so it is looked at again. One that went back and still pays
more, because the pool's prices are not between the tariffs (bill sharing), is settled apart: at the grid's
tariffs, which is what alone means. After so many looks as the mechanism's parameters say whoever pays more is
settled apart at once. So it ends, after two looks a member at most, and with nobody worse off than alone.

Alone is: if nobody traded, all running their plans alone on the same connection, with charges for its limit
shared by what members take (give). In the community they are shared so that who keeps to its plan alone is
charged no more than that (``coordinator.excess``).

The contracts of a member that goes back are cancelled here, whatever the mechanism made of the new positions;
the other sides have that energy from the pool or the grid, which the next look takes into account.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.excess import free_of_charge_kwh
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms.base import Array, Clearing, Mechanism

WORSE_EUR = 1e-9
"""A bill counts as higher from this difference on; below it is rounding."""


def who_opts_out(
    mechanism: Mechanism, agreed_kwh: Array, alone_kwh: Array
) -> tuple[frozenset[int], Clearing]:
    """Members that go back to their plans alone, and the terms of settlement after that.

    Args:
        mechanism: clears positions; its parameters say how often this is looked at.
        agreed_kwh: positions agreed on, shape (members, slots), import > 0 [kWh].
        alone_kwh: positions of the members' plans alone at the grid, likewise.

    Returns:
        Indices of members, and the clearing of the positions that are then agreed.
    """
    alone_eur = bills_without_trade_eur(alone_kwh, mechanism.tariff)
    positions = agreed_kwh.copy()
    leaving: set[int] = set()
    apart: set[int] = set()
    clearing = _left(mechanism.clear(positions), leaving, apart, positions, alone_kwh, mechanism.tariff)
    passes = mechanism.parameters.opt_out_passes
    for look in range(2 * len(positions) if passes else 0):
        bills_eur = expected_bills_eur(positions, clearing, mechanism.tariff)
        worse = {int(index) for index in np.flatnonzero(bills_eur > alone_eur + WORSE_EUR)} - apart
        if not worse:
            break
        apart |= worse if look >= passes else worse & leaving
        leaving |= worse
        for index in worse:
            positions[index] = alone_kwh[index]
        clearing = _left(mechanism.clear(positions), leaving, apart, positions, alone_kwh, mechanism.tariff)
    return frozenset(leaving), clearing


def _left(
    clearing: Clearing,
    leaving: set[int],
    apart: set[int],
    agreed_kwh: Array,
    alone_kwh: Array,
    tariff: CommunityTariff,
) -> Clearing:
    kept = tuple(each for each in clearing.contracts if not {each.seller, each.buyer} & leaving)
    free_kwh = free_of_charge_kwh(alone_kwh, agreed_kwh, tariff)
    return replace(clearing, contracts=kept, apart=frozenset(apart), free_kwh=free_kwh)
