"""Who exchanged a slot's metered energy with whom: by contract, in the pool, with the grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from coordinator.settlement.exact import ENERGY_STEP_KWH, energy_steps
from coordinator.settlement.excess import excess_beyond
from coordinator.settlement.rationing import ration


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
class CounterpartSlot:
    """What another community metered in a slot, as its coordinator tells it.

    Attributes:
        demand_kwh: what its members took in all, at least 0.
        supply_kwh: what they gave, likewise.
        executable: contracts across, with the energy that its own side's metering allows.
        leads: whether it comes first of the two where a step cannot be shared evenly.
    """

    demand_kwh: Decimal
    supply_kwh: Decimal
    executable: tuple[SlotContract, ...]
    leads: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """A slot's energy as it was exchanged.

    Attributes:
        shares: one a member, in the members' order.
        contracts: as executed, those without energy left out, by seller and buyer in the members' order.
        pool_import_kwh: of what members have from the pool, what came from another community's.
        pool_export_kwh: of what members gave to the pool, what went to another community's.
    """

    shares: list[Share]
    contracts: list[SlotContract]
    pool_import_kwh: Decimal = Decimal(0)
    pool_export_kwh: Decimal = Decimal(0)


def executable_across(
    net_kwh: Mapping[str, Decimal], contracts: Sequence[SlotContract]
) -> list[SlotContract]:
    """Contracts with members of another community, cut to what this side's metering allows.

    Args:
        net_kwh: this community's metered net energies, as of ``exchange_energy``.
        contracts: as agreed, inside and across.
    """
    bought, sold = _sides(net_kwh)
    allowed = _allowed(contracts, bought, sold, list(net_kwh))
    return [
        SlotContract(*terms[:2], energy * ENERGY_STEP_KWH, terms[2])
        for terms, energy in allowed.items()
        if energy and not {*terms[:2]} <= net_kwh.keys()
    ]


def exchange_energy(
    net_kwh: Mapping[str, Decimal],
    *,
    pooled: bool,
    contracts: Sequence[SlotContract] = (),
    import_limit_kwh: Decimal | None = None,
    export_limit_kwh: Decimal | None = None,
    counterpart: CounterpartSlot | None = None,
    apart: Collection[str] = (),
    free_kwh: Mapping[str, Decimal] | None = None,
) -> Exchange:
    """Pair members' metered net energies with each other and the grid.

    Args:
        net_kwh: each member's metered net energy, import > 0, multiples of ``ENERGY_STEP_KWH``.
        pooled: whether what contracts leave is traded; else it is exchanged with the grid.
        contracts: as agreed, in any order; none in a slot where trade is suspended.
        import_limit_kwh: what the community's connection takes; None for no limit.
        export_limit_kwh: what it gives; None for no limit.
        counterpart: what another community metered, whose members have contracts with this one's, whose pool
            takes what this one leaves or gives what it lacks, and which is behind the same connection; None
            where there is none to be had: contracts across are then as if there were none.
        apart: members that have no part in the pool; their contracts are none of those agreed.
        free_kwh: what each member may have before it is charged for energy above the limit, import > 0; None
            where that is charged by energy with the grid.

    Returns:
        Shares whose purchases and sales have the same sum, exactly, by contract as well as in the pool, but
        for what went across.

    Raises:
        ValueError: an energy is no multiple of ``ENERGY_STEP_KWH``.
    """
    bought, sold = _sides(net_kwh)
    executed = _execute(contracts, bought, sold, list(net_kwh), counterpart)
    by_contract = dict.fromkeys(net_kwh, 0)
    net_across = 0
    for (seller, buyer, _), energy in executed.items():
        for member, sign in ((seller, 1), (buyer, -1)):
            if member in by_contract:
                by_contract[member] += energy
            else:
                net_across += sign * energy
    wanted = {member: step - by_contract[member] for member, step in bought.items()}
    offered = {member: step - by_contract[member] for member, step in sold.items()}
    to_pool = {member: step for member, step in offered.items() if member not in apart}
    of_pool = {member: step for member, step in wanted.items() if member not in apart}
    demand, supply = sum(of_pool.values()), sum(to_pool.values())
    traded = min(demand, supply) if pooled else 0
    theirs = 0  # what the other community is short of (> 0) or has over, once contracts are executed
    if counterpart is not None:
        theirs = energy_steps(counterpart.demand_kwh) - energy_steps(counterpart.supply_kwh) + net_across
    from_there = max(0, min(demand - supply, -theirs)) if pooled else 0
    to_there = max(0, min(supply - demand, theirs)) if pooled else 0
    pool_bought, pool_sold = ration(of_pool, traded + from_there), ration(to_pool, traded + to_there)
    imported = {member: step - pool_bought.get(member, 0) for member, step in wanted.items()}
    exported = {member: step - pool_sold.get(member, 0) for member, step in offered.items()}
    net = sum(bought.values()) - sum(sold.values())
    others = _Others()
    if counterpart is not None:
        taken, given = energy_steps(counterpart.demand_kwh), energy_steps(counterpart.supply_kwh)
        with_grid = (max(theirs, 0) - to_there, max(-theirs, 0) - from_there) if pooled else (taken, given)
        others = _Others(taken - given, *with_grid, counterpart.leads)
    if free_kwh is None:
        excess = _excess(net, imported, exported, import_limit_kwh, export_limit_kwh, others)
    else:
        steps = {name: bought.get(name, 0) - sold.get(name, 0) for name in net_kwh}
        free = {name: energy_steps(energy) for name, energy in free_kwh.items()}
        excess = excess_beyond(steps, free, import_limit_kwh, export_limit_kwh)

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
        pool_import_kwh=in_kwh(from_there),
        pool_export_kwh=in_kwh(to_there),
    )


_Terms = tuple[str, str, Decimal]
"""Seller, buyer and price: contracts of the same terms are one."""


def _sides(net_kwh: Mapping[str, Decimal]) -> tuple[dict[str, int], dict[str, int]]:
    """What members took and gave, in steps, without those that did not."""
    steps = {member: energy_steps(energy) for member, energy in net_kwh.items()}
    bought = {member: step for member, step in steps.items() if step > 0}
    return bought, {member: -step for member, step in steps.items() if step < 0}


def _execute(
    contracts: Sequence[SlotContract],
    bought: Mapping[str, int],
    sold: Mapping[str, int],
    members: list[str],
    counterpart: CounterpartSlot | None,
) -> dict[_Terms, int]:
    """What is executed of contracts, in steps; across, as far as the other community allows it too.

    Without the other community, contracts across take nothing from those inside either: whether both
    communities still have them cannot be known here.
    """
    own = set(members)
    if counterpart is None:
        contracts = [each for each in contracts if {each.seller, each.buyer} <= own]
    allowed = _allowed(contracts, bought, sold, members)
    there = _by_terms(counterpart.executable if counterpart is not None else ())
    executed = {
        terms: energy if {*terms[:2]} <= own else min(energy, there.get(terms, 0))
        for terms, energy in allowed.items()
    }
    return {terms: energy for terms, energy in executed.items() if energy}


def _allowed(
    contracts: Sequence[SlotContract], bought: Mapping[str, int], sold: Mapping[str, int], members: list[str]
) -> dict[_Terms, int]:
    """What these members' metering allows of contracts: neither side's cut goes before the other's."""
    place = {member: number for number, member in enumerate(members)}

    def order(each: SlotContract) -> tuple[tuple[int, str], tuple[int, str], Decimal]:
        seller, buyer = ((place.get(name, len(place)), name) for name in (each.seller, each.buyer))
        return seller, buyer, each.price_eur_per_kwh

    agreed = _by_terms(sorted(contracts, key=order))
    allowed = dict(agreed)
    for side, metered in ((0, sold), (1, bought)):
        own: dict[str, dict[_Terms, int]] = {}
        for terms, energy in agreed.items():
            if (member := terms[0] if side == 0 else terms[1]) in place:
                own.setdefault(member, {})[terms] = energy
        for member, wanted in own.items():
            for terms, energy in ration(wanted, min(sum(wanted.values()), metered.get(member, 0))).items():
                allowed[terms] = min(allowed[terms], energy)
    return allowed


def _by_terms(contracts: Sequence[SlotContract]) -> dict[_Terms, int]:
    found: dict[_Terms, int] = {}
    for each in contracts:
        terms = (each.seller, each.buyer, each.price_eur_per_kwh)
        found[terms] = found.get(terms, 0) + energy_steps(each.energy_kwh)
    return found


@dataclass(frozen=True, slots=True)
class _Others:
    """Another community behind the same connection, in steps: net energy, and energy with the grid."""

    net: int = 0
    imported: int = 0
    exported: int = 0
    lead: bool = False


def _excess(
    net: int,
    imported: Mapping[str, int],
    exported: Mapping[str, int],
    import_limit_kwh: Decimal | None,
    export_limit_kwh: Decimal | None,
    others: _Others,
) -> dict[str, int]:
    """Each member's part, in steps, of the energy above the limit, by its energy with the grid that way.

    Between communities it is shared in the same way, so that both come to the same parts.
    """
    whole = net + others.net
    limits = (
        (1, imported, import_limit_kwh, others.imported),
        (-1, exported, export_limit_kwh, others.exported),
    )
    for sign, own, limit_kwh, theirs in limits:
        if limit_kwh is not None and (above := sign * whole - energy_steps(limit_kwh)) > 0:
            parts = {True: sum(own.values()), False: theirs}
            order = (False, True) if others.lead else (True, False)
            return ration(own, ration({is_own: parts[is_own] for is_own in order}, above)[True])
    return {}
