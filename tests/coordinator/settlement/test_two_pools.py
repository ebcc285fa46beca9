"""A slot of two communities: hand-worked exchanges, and money that is exact whatever is metered."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from coordinator.settlement import (
    CounterpartSlot,
    Exchange,
    SlotContract,
    SlotPrices,
    exchange_energy,
    executable_across,
    owed_eur,
    slot_entries,
)

STEP = Decimal("1e-9")
Net = dict[str, Decimal]


def kwh(**members: float) -> Net:
    return {name: Decimal(str(energy)) for name, energy in members.items()}


def contract(seller: str, buyer: str, energy: float, price: float = 0.2) -> SlotContract:
    return SlotContract(seller, buyer, Decimal(str(energy)), Decimal(str(price)))


def told(net: Net, contracts: list[SlotContract], *, leads: bool) -> CounterpartSlot:
    """What a community's coordinator tells the other of a slot."""
    return CounterpartSlot(
        demand_kwh=sum((energy for energy in net.values() if energy > 0), Decimal(0)),
        supply_kwh=-sum((energy for energy in net.values() if energy < 0), Decimal(0)),
        executable=tuple(executable_across(net, contracts)),
        leads=leads,
    )


def both(
    first: Net,
    second: Net,
    contracts: list[SlotContract] | None = None,
    *,
    pooled: bool = True,
    import_limit_kwh: Decimal | None = None,
    export_limit_kwh: Decimal | None = None,
) -> tuple[Exchange, Exchange]:
    """The slot as either coordinator settles it."""
    agreed = contracts or []
    here = [each for each in agreed if {each.seller, each.buyer} & first.keys()]
    there = [each for each in agreed if {each.seller, each.buyer} & second.keys()]

    def settle(net: Net, own: list[SlotContract], counterpart: CounterpartSlot) -> Exchange:
        return exchange_energy(
            net,
            pooled=pooled,
            contracts=own,
            import_limit_kwh=import_limit_kwh,
            export_limit_kwh=export_limit_kwh,
            counterpart=counterpart,
        )

    return (
        settle(first, here, told(second, there, leads=False)),
        settle(second, there, told(first, here, leads=True)),
    )


def grid_of(exchange: Exchange) -> dict[str, Decimal]:
    return {each.member: each.grid_import_kwh - each.grid_export_kwh for each in exchange.shares}


# -- by hand -------------------------------------------------------------------------------------------


def test_what_one_pool_has_over_covers_what_the_other_is_short_of() -> None:
    # first: 5 given, 2 taken, so 3 over; second: 6 taken, 2 given, so 4 short
    first, second = both(kwh(a=-5, b=2), kwh(x=6, y=-2))
    assert (first.pool_export_kwh, first.pool_import_kwh) == (3, 0)
    assert (second.pool_import_kwh, second.pool_export_kwh) == (3, 0)
    assert grid_of(first) == kwh(a=0, b=0)
    assert grid_of(second) == kwh(x=1, y=0)


def test_a_pool_s_own_members_come_first_and_the_longer_side_is_rationed() -> None:
    # first has 6 over for 1.5 that the second lacks: its own 3 and those 1.5 come from givers as 2 to 1
    first, second = both(kwh(a=-6, b=-3, c=3), kwh(x=1.5))
    assert first.pool_export_kwh == Decimal("1.5")
    assert [each.pool_sale_kwh for each in first.shares] == [3, Decimal("1.5"), 0]
    assert grid_of(first) == kwh(a=-3, b=-1.5, c=0)
    assert grid_of(second) == kwh(x=0)


def test_pools_that_are_both_short_exchange_nothing() -> None:
    first, second = both(kwh(a=2, b=-1), kwh(x=3))
    assert (first.pool_import_kwh, first.pool_export_kwh) == (0, 0)
    assert (second.pool_import_kwh, second.pool_export_kwh) == (0, 0)


def test_without_a_pool_nothing_is_exchanged() -> None:
    first, second = both(kwh(a=-2), kwh(x=2), pooled=False)
    assert grid_of(first) == kwh(a=-2)
    assert grid_of(second) == kwh(x=2)


def test_a_contract_across_is_executed_up_to_what_either_side_metered() -> None:
    agreed = [contract("a", "x", 4)]
    enough = both(kwh(a=-4), kwh(x=5), agreed)
    assert [each.contracts for each in enough] == [agreed, agreed]
    for net, other in ((kwh(a=-3), kwh(x=5)), (kwh(a=-9), kwh(x=3))):
        for side in both(net, other, agreed):
            assert side.contracts == [contract("a", "x", 3)]


def test_a_member_short_of_all_its_contracts_cuts_those_inside_and_across_alike() -> None:
    agreed = [contract("a", "b", 4), contract("a", "x", 2)]
    first, second = both(kwh(a=-3, b=4), kwh(x=2), agreed)
    assert first.contracts == [contract("a", "b", 2), contract("a", "x", 1)]
    assert second.contracts == [contract("a", "x", 1)]


def test_what_the_other_side_cuts_of_a_contract_goes_to_the_pools() -> None:
    first, second = both(kwh(a=-4), kwh(x=1, y=2), [contract("a", "x", 3)])
    assert first.contracts == second.contracts == [contract("a", "x", 1)]
    assert (first.pool_export_kwh, second.pool_import_kwh) == (2, 2)
    assert grid_of(first) == kwh(a=-1)


def test_a_contract_that_the_other_community_does_not_have_is_not_executed() -> None:
    exchange = exchange_energy(
        kwh(a=-4),
        pooled=True,
        contracts=[contract("a", "x", 3)],
        counterpart=told(kwh(x=4), [], leads=False),
    )
    assert exchange.contracts == []
    assert exchange.pool_export_kwh == 4


def test_without_the_other_community_contracts_across_are_not_executed_and_pools_are_apart() -> None:
    exchange = exchange_energy(
        kwh(a=-4, b=1), pooled=True, contracts=[contract("a", "x", 3), contract("a", "b", 1)]
    )
    assert exchange.contracts == [contract("a", "b", 1)]
    assert exchange.pool_export_kwh == 0
    assert grid_of(exchange) == kwh(a=-3, b=0)


def test_without_the_other_community_a_contract_across_takes_nothing_from_one_inside() -> None:
    """The buyer is short of both together, and has enough for the one that can be executed."""
    contracts = [contract("a", "b", 3.0), contract("c", "b", 2.0)]
    alone = exchange_energy(kwh(a=-3, b=4), pooled=True, contracts=contracts)
    assert [(each.seller, each.energy_kwh) for each in alone.contracts] == [("a", 3)]
    second = told(kwh(c=-2), contracts, leads=False)
    beside = exchange_energy(kwh(a=-3, b=4), pooled=True, contracts=contracts, counterpart=second)
    assert [(each.seller, each.energy_kwh) for each in beside.contracts] == [
        ("a", Decimal("2.4")),
        ("c", Decimal("1.6")),
    ]


def test_energy_above_the_limit_of_the_connection_is_shared_between_communities_by_energy_with_the_grid() -> (
    None
):
    # 12 taken in all, 9 of it by the second: 3 above the limit of 9, a quarter of it the first's
    first, second = both(kwh(a=2, b=1), kwh(x=9), import_limit_kwh=Decimal(9))
    assert [each.excess_kwh for each in first.shares] == [Decimal("0.5"), Decimal("0.25")]
    assert [each.excess_kwh for each in second.shares] == [Decimal("2.25")]


def test_a_step_that_cannot_be_shared_is_the_first_community_s_on_both_sides() -> None:
    first, second = both({"a": STEP}, {"x": STEP}, import_limit_kwh=STEP)
    assert ([each.excess_kwh for each in first.shares], second.shares[0].excess_kwh) == ([STEP], 0)


def test_what_one_community_gives_the_other_is_not_above_the_limit() -> None:
    first, second = both(kwh(a=-5), kwh(x=9), import_limit_kwh=Decimal(4), export_limit_kwh=Decimal(0))
    assert [each.excess_kwh for each in (*first.shares, *second.shares)] == [0, 0]


# -- whatever is metered -------------------------------------------------------------------------------

energies = st.integers(-5_000, 5_000).map(lambda steps: steps * STEP)


@st.composite
def slots(draw: st.DrawFn) -> tuple[Net, Net, list[SlotContract], SlotPrices, Decimal | None]:
    first = {f"a{number}": draw(energies) for number in range(draw(st.integers(1, 3)))}
    second = {f"b{number}": draw(energies) for number in range(draw(st.integers(1, 3)))}
    names = [*first, *second]
    low = draw(st.integers(-50, 300))
    spread, fee = draw(st.integers(0, 200)), draw(st.integers(0, 20))
    cents = [draw(st.integers(low + fee, max(low + fee, low + spread - fee))) for _ in range(4)]
    prices = [Decimal(number) / 1000 for number in cents]
    pooled = spread >= 2 * fee
    contracts = [
        SlotContract(seller, buyer, draw(st.integers(0, 4_000)) * STEP, prices[draw(st.integers(1, 3))])
        for seller, buyer in draw(st.lists(st.permutations(names).map(lambda order: order[:2]), max_size=6))
        if pooled
    ] if len(names) > 1 else []  # fmt: skip
    terms = SlotPrices(
        Decimal(low + spread) / 1000,
        Decimal(low) / 1000,
        prices[0] if pooled else None,
        Decimal(fee) / 1000,
        Decimal("0.5"),
    )
    limit = draw(st.none() | st.integers(0, 3_000).map(lambda steps: steps * STEP))
    return first, second, contracts, terms, limit


@given(slots())
def test_budget_is_exact_over_both_and_nobody_pays_more_than_at_the_grid(
    case: tuple[Net, Net, list[SlotContract], SlotPrices, Decimal | None],
) -> None:
    first, second, contracts, prices, limit = case
    pooled = prices.local_price_eur_per_kwh is not None
    here, there = both(
        first, second, contracts, pooled=pooled, import_limit_kwh=limit, export_limit_kwh=limit
    )
    for own, executed in ((first, here.contracts), (second, there.contracts)):
        across = [each for each in executed if not {each.seller, each.buyer} <= own.keys()]
        assert all(each in here.contracts and each in there.contracts for each in across)
    assert (here.pool_import_kwh, here.pool_export_kwh) == (there.pool_export_kwh, there.pool_import_kwh)

    net = {**first, **second}
    whole, shares = sum(net.values(), Decimal(0)), [*here.shares, *there.shares]
    with_grid = sum((each.grid_import_kwh - each.grid_export_kwh for each in shares), Decimal(0))
    assert with_grid == whole
    if pooled:
        assert min(sum(s.grid_import_kwh for s in shares), sum(s.grid_export_kwh for s in shares)) == 0
    above = max(Decimal(0), abs(whole) - limit) if limit is not None else Decimal(0)
    assert sum((each.excess_kwh for each in shares), Decimal(0)) == above

    entries = slot_entries(0, 0, here, prices)
    entries += [each for each in slot_entries(0, 0, there, prices) if {*each.parties()} <= second.keys()]
    owed = owed_eur(entries)
    paid_out = sum(
        (entry.amount_eur for entry in entries if entry.credit in ("grid", "network")), Decimal(0)
    ) - sum((entry.amount_eur for entry in entries if entry.debit == "grid"), Decimal(0))
    assert sum(owed.values(), Decimal(0)) == paid_out
    for share in shares:
        energy = net[share.member]
        tariff = prices.import_price_eur_per_kwh if energy > 0 else prices.export_price_eur_per_kwh
        charge = share.excess_kwh * prices.excess_price_eur_per_kwh
        assert owed.get(share.member, Decimal(0)) - charge <= energy * tariff
