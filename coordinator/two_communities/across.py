"""Trade between two communities as one sees it: contracts across, expected bills, opting out. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms.base import Array, Clearing, Contract, Mechanism, OtherCommunity
from coordinator.opting_out import WORSE_EUR
from coordinator.settlement import CounterpartSlot, SlotContract
from coordinator.trades import ReportedTrade, matched_contracts, reported_trade
from runtime.protocol.community_bodies import ContractAcross, MeteredExchange, RelayedTrades
from runtime.protocol.told_trades import told_trade


def relayed_trades(
    session: int, reports: Mapping[str, Sequence[ReportedTrade]], members: Sequence[str]
) -> list[RelayedTrades]:
    """What the other coordinator is told of each member's trades across, also of those who have none.

    Args:
        session: number of the market session.
        reports: trades across, by member.
        members: who takes part, in order.
    """
    return [
        RelayedTrades(
            session=session,
            member=name,
            trades=[
                told_trade(trade.partner, trade.energy_kwh, trade.price_eur_per_kwh)
                for trade in reports.get(name, ())
            ],
        )
        for name in members
    ]


def contracts_across(
    reports: Mapping[str, Sequence[ReportedTrade]],
    relayed: Iterable[RelayedTrades],
    members: Sequence[str],
    others: Sequence[str],
    tariff: CommunityTariff,
) -> tuple[tuple[Contract, ...], list[str]]:
    """Contracts across that members of both communities reported alike.

    Args:
        reports: trades across of this community's members.
        relayed: what the other community's members reported, as its coordinator tells.
        members: of this community.
        others: of the other one; their indices follow.
        tariff: the community's tariff.

    Returns:
        The contracts, and in words what was reported and does not count: what the other side denies, and
        what is no trade across.
    """
    claims: dict[str, Sequence[ReportedTrade]] = {name: reports.get(name, ()) for name in members}
    notes = []
    for told in relayed:
        if told.member not in others:
            continue
        strangers = [trade.partner for trade in told.trades if trade.partner not in members]
        notes += [f"{told.member} reports a trade with {name!r}, who is not here" for name in strangers]
        across = [trade for trade in told.trades if trade.partner in members]
        if any(trade.slots and trade.slots[-1] >= tariff.slots for trade in across):
            notes.append(f"{told.member} reports trades in slots that there are not")
            continue
        claims[told.member] = [reported_trade(trade, tariff.slots) for trade in across]
    contracts, refused = matched_contracts(claims, [*members, *others], tariff)
    return contracts, notes + refused


def digests(contracts: Iterable[Contract], names: Sequence[str]) -> dict[str, str]:
    """Contracts as they are told the other coordinator: who with whom, and a digest of the rest.

    Args:
        contracts: across.
        names: of both communities' members, by the contracts' indices.
    """
    found = {}
    for each in contracts:
        terms = json.dumps([each.energy_kwh.tolist(), each.price_eur_per_kwh.tolist()])
        found[f"{names[each.seller]}>{names[each.buyer]}"] = sha256(terms.encode()).hexdigest()[:16]
    return found


def confirmed(
    contracts: Sequence[Contract], names: Sequence[str], members: int, told: Mapping[str, str]
) -> tuple[Contract, ...]:
    """Contracts without those across that the other coordinator does not have alike.

    Args:
        contracts: inside and across.
        names: of both communities' members, by the contracts' indices.
        members: number of this community's, whose indices come first.
        told: the other's digests.
    """
    return tuple(
        each
        for each in contracts
        if max(each.seller, each.buyer) < members or digests([each], names).items() <= told.items()
    )


def bills_beside_eur(
    net_kwh: Array, clearing: Clearing, tariff: CommunityTariff, other: OtherCommunity | None
) -> Array:
    """Each member's expected bill in a community that trades with another one [EUR], shape (members,).

    Charges for the connection's limit, which the two communities cause together, are left out.

    Args:
        net_kwh: positions of this community's members, shape (members, slots), import > 0 [kWh].
        clearing: terms; contracts with members from index ``members`` on are across.
        tariff: the community's tariff.
        other: what the other community would take and give; None: contracts across do not count.
    """
    members, slots = net_kwh.shape
    kept = clearing.contracts
    if other is None:
        kept = tuple(each for each in kept if max(each.seller, each.buyer) < members)
    strangers = max((max(each.seller, each.buyer) + 1 - members for each in kept), default=0)
    rows = np.zeros((max(strangers, 0) + 1, slots))  # theirs by contract, and at last what pools exchange
    for each in kept:
        energy = np.where(tariff.suspended, 0.0, each.energy_kwh)
        for member, sign in ((each.seller, -1.0), (each.buyer, 1.0)):
            if member >= members:
                rows[member - members] += sign * energy
    if other is not None:
        by_contract = rows[:-1].sum(axis=0)  # what they take by contract is what this side gives
        ours = net_kwh.sum(axis=0) + by_contract
        theirs = other.demand_kwh - other.supply_kwh - by_contract
        opposite = np.isfinite(clearing.local_price_eur_per_kwh) & ~tariff.suspended & (ours * theirs < 0)
        rows[-1] = np.where(opposite, -np.sign(ours) * np.minimum(np.abs(ours), np.abs(theirs)), 0.0)
    beside = replace(tariff, excess_price_eur_per_kwh=0.0)
    whole = np.concatenate([net_kwh, rows])
    bills: Array = expected_bills_eur(whole, replace(clearing, contracts=kept), beside)[:members]
    return bills


class OptingOut:
    """Who of one community goes back to its plan alone, beside another that looks at the same time.

    Attributes:
        leaving: indices of members that have gone back.
        clearing: terms of settlement, without the contracts of those that have gone back on either side.
    """

    def __init__(
        self,
        mechanism: Mechanism,
        agreed_kwh: Array,
        alone_kwh: Array,
        members: Sequence[str],
        others: Sequence[str],
    ) -> None:
        """Begin at the agreed positions.

        Args:
            mechanism: clears positions.
            agreed_kwh: positions agreed on, shape (members, slots), import > 0 [kWh].
            alone_kwh: positions of the members' plans alone, likewise.
            members: names of this community's members, in the order of positions.
            others: the other community's, whose contracts' indices follow.
        """
        self.leaving: set[int] = set()
        self._tariff = replace(mechanism.tariff, excess_price_eur_per_kwh=0.0)
        self._others = list(others)
        self._names = [*members, *others]
        self._alone_kwh = alone_kwh
        self._alone_eur = bills_without_trade_eur(alone_kwh, self._tariff)
        self.positions_kwh = agreed_kwh.copy()
        self.clearing = mechanism.clear(self.positions_kwh)

    def look(self, other: OtherCommunity | None, withdrawn: Collection[str]) -> bool:
        """Send those back whose bill would be above that of their plan alone; whether there was any.

        Args:
            other: the other community as it stands; None if it is not there (any more).
            withdrawn: its members that have gone back to their plans alone.
        """
        self.cancel(other, withdrawn)
        bills_eur = bills_beside_eur(self.positions_kwh, self.clearing, self._tariff, other)
        worse = {
            index
            for index in range(len(self._alone_eur))
            if index not in self.leaving and bills_eur[index] > self._alone_eur[index] + WORSE_EUR
        }
        self.leaving |= worse
        for index in worse:
            self.positions_kwh[index] = self._alone_kwh[index]
        self.cancel(other, withdrawn)
        return bool(worse)

    @property
    def digests(self) -> dict[str, str]:
        """Of the contracts across."""
        members = len(self._alone_eur)
        across = [each for each in self.clearing.contracts if max(each.seller, each.buyer) >= members]
        return digests(across, self._names)

    def confirm(self, told: Mapping[str, str]) -> bool:
        """Cancel contracts across that the other side does not have alike; whether either side has any."""
        differ = bool(self.digests.items() ^ told.items())
        kept = confirmed(self.clearing.contracts, self._names, len(self._alone_eur), told)
        self.clearing = replace(self.clearing, contracts=kept)
        return differ

    def cancel(self, other: OtherCommunity | None, withdrawn: Collection[str]) -> None:
        """Cancel contracts of those that have gone back, on either side, and all across without the other."""
        members = len(self._alone_eur)
        gone = self.leaving | {
            members + index for index, name in enumerate(self._others) if other is None or name in withdrawn
        }
        kept = tuple(each for each in self.clearing.contracts if not {each.seller, each.buyer} & gone)
        self.clearing = replace(self.clearing, contracts=kept)


# -- a slot's exchange, as it is told ------------------------------------------------------------------


def metered_exchange(
    session: int, slot: int, net_kwh: Mapping[str, Decimal], executable: Sequence[SlotContract]
) -> MeteredExchange:
    """What the other coordinator is told of a slot.

    Args:
        session: number of the market session.
        slot: the slot.
        net_kwh: metered net energy by member, import > 0.
        executable: contracts across as this side's metering allows them.
    """
    return MeteredExchange(
        session=session,
        slot=slot,
        demand_kwh=sum((energy for energy in net_kwh.values() if energy > 0), Decimal(0)),
        supply_kwh=-sum((energy for energy in net_kwh.values() if energy < 0), Decimal(0)),
        contracts=[
            ContractAcross(
                seller=each.seller,
                buyer=each.buyer,
                price_eur_per_kwh=each.price_eur_per_kwh,
                energy_kwh=each.energy_kwh,
            )
            for each in executable
        ],
    )


def counterpart_slot(told: MeteredExchange, *, leads: bool) -> CounterpartSlot:
    """What the other community metered, as settlement takes it.

    Args:
        told: by its coordinator.
        leads: whether the other community comes first.
    """
    return CounterpartSlot(
        demand_kwh=told.demand_kwh,
        supply_kwh=told.supply_kwh,
        executable=tuple(
            SlotContract(each.seller, each.buyer, each.energy_kwh, each.price_eur_per_kwh)
            for each in told.contracts
        ),
        leads=leads,
    )
