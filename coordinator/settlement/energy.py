"""Who exchanged a slot's metered energy with whom: by contract, in the pool, with the grid."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from coordinator.settlement.exact import ENERGY_STEP_KWH, energy_steps

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class SlotContract:
    """Energy that one member gives another in a slot, not negative, and what the buyer pays for it."""

    seller: str
    buyer: str
    energy_kwh: Decimal
    price_eur_per_kwh: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """How one member's metered energy of a slot was exchanged; energies not negative [kWh].

    Attributes:
        member: whose.
        contract_purchase_kwh: taken by contract.
        contract_sale_kwh: given by contract.
        pool_purchase_kwh: taken from the pool.
        pool_sale_kwh: given to the pool.
        grid_import_kwh: taken from the grid.
        grid_export_kwh: given to the grid.
        excess_kwh: its part of the community's energy above the connection's limit.
    """

    member: str
    contract_purchase_kwh: Decimal
    contract_sale_kwh: Decimal
    pool_purchase_kwh: Decimal
    pool_sale_kwh: Decimal
    grid_import_kwh: Decimal
    grid_export_kwh: Decimal
    excess_kwh: Decimal

    @property
    def local_purchase_kwh(self) -> Decimal:
        """Taken from neighbours, either way."""
        return self.contract_purchase_kwh + self.pool_purchase_kwh

    @property
    def local_sale_kwh(self) -> Decimal:
        """Given to neighbours, either way."""
        return self.contract_sale_kwh + self.pool_sale_kwh

    @property
    def traded_kwh(self) -> Decimal:
        """Exchanged with neighbours, either way and direction: what the local fee is on."""
        return self.local_purchase_kwh + self.local_sale_kwh


@dataclass(frozen=True, slots=True)
class Exchange:
    """A slot's energy as it was exchanged.

    Attributes:
        shares: one a member, in the members' order.
        contracts: as executed, those without energy left out, by seller and buyer in the members' order.
    """

    shares: list[Share]
    contracts: list[SlotContract]


def exchange_energy(
    net_kwh: Mapping[str, Decimal],
    *,
    pooled: bool,
    contracts: Sequence[SlotContract] = (),
    import_limit_kwh: Decimal | None = None,
    export_limit_kwh: Decimal | None = None,
) -> Exchange:
    """Pair members' metered net energies with each other and the grid.

    Args:
        net_kwh: each member's metered net energy, import > 0, multiples of ``ENERGY_STEP_KWH``.
        pooled: whether what contracts leave is traded; else it is exchanged with the grid.
        contracts: as agreed, in any order; none in a slot where trade is suspended.
        import_limit_kwh: what the community's connection takes; None for no limit.
        export_limit_kwh: what it gives; None for no limit.

    Returns:
        Shares whose purchases and sales have the same sum, exactly, by contract as well as in the pool.

    Raises:
        ValueError: an energy is no multiple of ``ENERGY_STEP_KWH``.
    """
    steps = {member: energy_steps(energy) for member, energy in net_kwh.items()}
    bought = {member: step for member, step in steps.items() if step > 0}
    sold = {member: -step for member, step in steps.items() if step < 0}
    executed = _execute(contracts, bought, sold, list(net_kwh))
    by_contract = dict.fromkeys(net_kwh, 0)
    for (seller, buyer, _), energy in executed.items():
        by_contract[seller] += energy
        by_contract[buyer] += energy
    wanted = {member: step - by_contract[member] for member, step in bought.items()}
    offered = {member: step - by_contract[member] for member, step in sold.items()}
    traded = min(sum(wanted.values()), sum(offered.values())) if pooled else 0
    pool_bought, pool_sold = ration(wanted, traded), ration(offered, traded)
    imported = {member: step - pool_bought[member] for member, step in wanted.items()}
    exported = {member: step - pool_sold[member] for member, step in offered.items()}
    excess = _excess(sum(steps.values()), imported, exported, import_limit_kwh, export_limit_kwh)

    def in_kwh(whole_steps: int) -> Decimal:
        return whole_steps * ENERGY_STEP_KWH

    return Exchange(
        shares=[
            Share(
                member=member,
                contract_purchase_kwh=in_kwh(by_contract[member] if member in bought else 0),
                contract_sale_kwh=in_kwh(by_contract[member] if member in sold else 0),
                pool_purchase_kwh=in_kwh(pool_bought.get(member, 0)),
                pool_sale_kwh=in_kwh(pool_sold.get(member, 0)),
                grid_import_kwh=in_kwh(imported.get(member, 0)),
                grid_export_kwh=in_kwh(exported.get(member, 0)),
                excess_kwh=in_kwh(excess.get(member, 0)),
            )
            for member in net_kwh
        ],
        contracts=[
            SlotContract(seller, buyer, in_kwh(energy), price)
            for (seller, buyer, price), energy in executed.items()
        ],
    )


def ration(wanted: Mapping[K, int], total: int) -> dict[K, int]:
    """Split ``total`` in proportion to ``wanted``, in whole steps that add up to ``total``.

    Largest remainders get the steps that rounding down leaves, also of a total below 0; equal remainders in
    the order given. Nobody gets more than wanted as long as ``total`` is at most the sum.
    """
    everything = sum(wanted.values())
    if total == 0 or everything == 0:
        return dict.fromkeys(wanted, 0)
    parts = {member: want * total // everything for member, want in wanted.items()}
    by_remainder = sorted(wanted, key=lambda member: -(wanted[member] * total % everything))
    for member in by_remainder[: total - sum(parts.values())]:
        parts[member] += 1
    return parts


_Terms = tuple[str, str, Decimal]
"""Seller, buyer and price: contracts of the same terms are one."""


def _execute(
    contracts: Sequence[SlotContract], bought: Mapping[str, int], sold: Mapping[str, int], members: list[str]
) -> dict[_Terms, int]:
    """What is executed of contracts, in steps: neither side's cut goes before the other's."""
    if not contracts:
        return {}
    place = {member: number for number, member in enumerate(members)}
    agreed: dict[_Terms, int] = {}
    for each in sorted(contracts, key=lambda c: (place[c.seller], place[c.buyer], c.price_eur_per_kwh)):
        terms = (each.seller, each.buyer, each.price_eur_per_kwh)
        agreed[terms] = agreed.get(terms, 0) + energy_steps(each.energy_kwh)
    allowed = dict(agreed)
    for side, metered in ((0, sold), (1, bought)):
        own: dict[str, dict[_Terms, int]] = {}
        for terms, energy in agreed.items():
            own.setdefault(terms[0] if side == 0 else terms[1], {})[terms] = energy
        for member, wanted in own.items():
            for terms, energy in ration(wanted, min(sum(wanted.values()), metered.get(member, 0))).items():
                allowed[terms] = min(allowed[terms], energy)
    return {terms: energy for terms, energy in allowed.items() if energy}


def _excess(
    net: int,
    imported: Mapping[str, int],
    exported: Mapping[str, int],
    import_limit_kwh: Decimal | None,
    export_limit_kwh: Decimal | None,
) -> dict[str, int]:
    """Each member's part, in steps, of the energy above the limit, by its energy with the grid that way."""
    if import_limit_kwh is not None and net > (limit := energy_steps(import_limit_kwh)):
        return ration(imported, net - limit)
    if export_limit_kwh is not None and -net > (limit := energy_steps(export_limit_kwh)):
        return ration(exported, -net - limit)
    return {}
