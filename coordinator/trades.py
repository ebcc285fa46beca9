"""Trades that members report, brought together: what counts is what both sides say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Array, Contract
from runtime.errors import ProtocolError
from runtime.protocol.bargain_bodies import AgreedTrade
from runtime.wording import counted

_PRICE_STEP_EUR_PER_KWH = 1e-9


@dataclass(frozen=True)
class ReportedTrade:
    """What one member says it agreed on with another; arrays of shape (slots,).

    Attributes:
        partner: name of the other.
        energy_kwh: energy that the member takes > 0, gives < 0.
        price_eur_per_kwh: what who takes pays who gives; of no meaning without energy.
    """

    partner: str
    energy_kwh: Array
    price_eur_per_kwh: Array


def reported_trade(told: AgreedTrade, slots: int) -> ReportedTrade:
    """A trade as a member tells it, over all slots.

    Raises:
        ProtocolError: it names a slot that there is not.
    """
    if told.slots and told.slots[-1] >= slots:
        raise ProtocolError(f"trade with {told.partner}: slot {told.slots[-1]} is not one of {slots}")
    energy, price = np.zeros(slots), np.zeros(slots)
    energy[told.slots] = np.subtract(told.purchase_kwh, told.sale_kwh)
    price[told.slots] = told.price_eur_per_kwh
    return ReportedTrade(told.partner, energy, price)


def matched_contracts(
    reports: Mapping[str, Sequence[ReportedTrade]], members: Sequence[str], tariff: CommunityTariff
) -> tuple[tuple[Contract, ...], list[str]]:
    """Contracts of the trades that both sides report alike, to the last digit, slot by slot.

    Slots without local trade are left out, and so are prices at which one side would do worse than at the
    grid: above the import tariff less, or below the feed-in tariff plus, half the local fee.

    Args:
        reports: by member.
        members: all who take part, in the order of contracts' indices.
        tariff: the community's tariff.

    Returns:
        The contracts, and in words what was reported and does not count.
    """
    notes: list[str] = []
    claims: dict[tuple[str, str], ReportedTrade] = {}
    for member, trades in reports.items():
        often = Counter(trade.partner for trade in trades)
        for trade in trades:
            if trade.partner not in members or trade.partner == member:
                notes.append(f"{member} reports a trade with {trade.partner!r}, who is no partner of it")
            elif often[trade.partner] > 1:
                notes.append(f"{member} reports more than one trade with {trade.partner}")
            else:
                claims[member, trade.partner] = trade
    contracts = []
    for here, first in enumerate(members):
        for there in range(here + 1, len(members)):
            second = members[there]
            one, other = claims.get((first, second)), claims.get((second, first))
            if one is None and other is None:
                continue
            energy, price, refused = _common(one, other, tariff)
            if refused:
                notes.append(
                    f"{first} and {second} report no trade alike, or none that may be, in "
                    f"{counted(refused, 'slot')}"
                )
            for seller, buyer, taken in ((there, here, energy > 0), (here, there, energy < 0)):
                if taken.any():
                    amount = np.where(taken, np.abs(energy), 0.0)
                    contracts.append(Contract(seller, buyer, amount, np.where(taken, price, 0.0)))
    return tuple(contracts), notes


def _common(
    one: ReportedTrade | None, other: ReportedTrade | None, tariff: CommunityTariff
) -> tuple[Array, Array, int]:
    """Energy the first takes from the second, its price, and in how many slots something does not count."""
    nothing = np.zeros(tariff.slots)
    taken = nothing if one is None else one.energy_kwh
    given = nothing if other is None else -other.energy_kwh
    price = nothing if one is None else one.price_eur_per_kwh
    told = nothing if other is None else other.price_eur_per_kwh
    fee = tariff.meter_fee_eur_per_kwh
    fair = (price <= tariff.import_price_eur_per_kwh - fee + _PRICE_STEP_EUR_PER_KWH) & (
        price >= tariff.export_price_eur_per_kwh + fee - _PRICE_STEP_EUR_PER_KWH
    )
    counts = (taken == given) & (taken != 0) & (price == told) & fair & ~tariff.suspended
    refused = int((((taken != 0) | (given != 0)) & ~counts).sum())
    return np.where(counts, taken, 0.0), price, refused
