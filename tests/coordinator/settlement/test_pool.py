"""Settlement: energy and money are conserved exactly, whatever was metered."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.settlement import (
    ENERGY_STEP_KWH,
    SlotPrices,
    bills,
    exchange_energy,
    owed_eur,
    ration,
    round_to_cents,
    slot_entries,
)

ENERGIES = st.integers(-(10**13), 10**13).map(lambda steps: steps * ENERGY_STEP_KWH)
COMMUNITIES = st.lists(ENERGIES, min_size=1, max_size=8).map(
    lambda energies: {f"m{number}": energy for number, energy in enumerate(energies)}
)
PRICES = st.integers(-(10**9), 10**9).map(lambda steps: steps * Decimal("1e-9"))


def total(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


@given(net_kwh=COMMUNITIES, local_trade=st.booleans())
def test_shares_conserve_energy_exactly(net_kwh: dict[str, Decimal], local_trade: bool) -> None:
    shares = exchange_energy(net_kwh, pooled=local_trade).shares
    assert [share.member for share in shares] == list(net_kwh)
    for share in shares:
        parts = [share.local_purchase_kwh, share.local_sale_kwh, share.grid_import_kwh, share.grid_export_kwh]
        assert min(parts) >= 0
        assert parts[0] - parts[1] + parts[2] - parts[3] == net_kwh[share.member]
        assert (parts[0] + parts[2]) * (parts[1] + parts[3]) == 0  # buys or sells, never both
    demand = total([max(energy, Decimal(0)) for energy in net_kwh.values()])
    supply = total([max(-energy, Decimal(0)) for energy in net_kwh.values()])
    traded = min(demand, supply) if local_trade else Decimal(0)
    assert total([share.local_purchase_kwh for share in shares]) == traded
    assert total([share.local_sale_kwh for share in shares]) == traded
    assert total([share.grid_import_kwh for share in shares]) == demand - traded
    assert total([share.grid_export_kwh for share in shares]) == supply - traded


@given(
    wanted=st.lists(st.integers(0, 10**15), min_size=1, max_size=8).map(
        lambda wants: {f"m{number}": want for number, want in enumerate(wants)}
    ),
    data=st.data(),
)
def test_rationing_is_pro_rata_to_a_step_and_gives_the_largest_remainders_first(
    wanted: dict[str, int], data: st.DataObject
) -> None:
    everything = sum(wanted.values())
    amount = data.draw(st.integers(0, everything))
    parts = ration(wanted, amount)
    assert list(parts) == list(wanted)
    assert sum(parts.values()) == amount
    if everything == 0:
        return
    exact = {member: Fraction(want * amount, everything) for member, want in wanted.items()}
    for member, part in parts.items():
        assert part in (exact[member].__floor__(), exact[member].__floor__() + 1)
        assert part <= wanted[member]
    given_more = [exact[m] - parts[m] + 1 for m in parts if parts[m] > exact[m]]
    left_out = [exact[m] - parts[m] for m in parts if parts[m] <= exact[m]]
    assert not given_more or not left_out or min(given_more) >= max(left_out)


def test_equal_remainders_go_by_the_order_given() -> None:
    assert ration({"b": 1, "a": 1, "c": 1}, 2) == {"b": 1, "a": 1, "c": 0}
    assert ration({"a": 3, "b": 3}, 3) == {"a": 2, "b": 1}
    assert ration({"a": 5}, 0) == {"a": 0}
    assert ration({"a": 1, "b": 2}, -4) == {"a": -1, "b": -3}  # of −1⅓ and −2⅔


@given(net_kwh=COMMUNITIES, buy=PRICES, sell=PRICES)
def test_ledger_entries_balance(net_kwh: dict[str, Decimal], buy: Decimal, sell: Decimal) -> None:
    local = (buy + sell) / 2 if sell <= buy else None
    prices = SlotPrices(buy, sell, local)
    entries = slot_entries(0, 3, exchange_energy(net_kwh, pooled=local is not None), prices)
    balance: dict[str, Decimal] = {}
    for entry in entries:
        assert entry.amount_eur == entry.energy_kwh * entry.price_eur_per_kwh
        assert entry.energy_kwh > 0
        balance[entry.debit] = balance.get(entry.debit, Decimal(0)) + entry.amount_eur
        balance[entry.credit] = balance.get(entry.credit, Decimal(0)) - entry.amount_eur
    assert balance.get("community", Decimal(0)) == 0
    pooled = list(net_kwh.values()) if local is None else [total(list(net_kwh.values()))]
    grid_eur = total([energy * (buy if energy > 0 else sell) for energy in pooled])
    assert -balance.get("grid", Decimal(0)) == grid_eur
    assert total(list(owed_eur(entries).values())) == grid_eur
    for member, energy in net_kwh.items():
        owed = owed_eur(entries).get(member, Decimal(0))
        assert owed == balance.get(f"member:{member}", Decimal(0))
        assert owed <= energy * (buy if energy > 0 else sell)  # never worse than alone at the grid


def test_a_feed_in_tariff_above_the_import_price_leaves_everybody_at_the_grid() -> None:
    net_kwh = {"a": Decimal("2"), "b": Decimal("-3"), "c": Decimal(0)}
    entries = slot_entries(
        0, 0, exchange_energy(net_kwh, pooled=False), SlotPrices(Decimal("0.02"), Decimal("0.03"), None)
    )
    assert [(entry.member, entry.kind, entry.amount_eur) for entry in entries] == [
        ("a", "grid-import", Decimal("0.04")),
        ("b", "grid-export", Decimal("0.09")),
    ]


def test_a_slot_by_hand() -> None:
    net_kwh = {"a": Decimal("3"), "b": Decimal("1"), "c": Decimal("-2")}
    prices = SlotPrices(Decimal("0.30"), Decimal("0.10"), Decimal("0.20"))
    entries = slot_entries(1, 2, exchange_energy(net_kwh, pooled=True), prices)
    assert [(e.member, e.kind, e.energy_kwh, e.amount_eur, e.debit, e.credit) for e in entries] == [
        ("a", "local-purchase", Decimal("1.5"), Decimal("0.30"), "member:a", "community"),
        ("a", "grid-import", Decimal("1.5"), Decimal("0.45"), "member:a", "grid"),
        ("b", "local-purchase", Decimal("0.5"), Decimal("0.10"), "member:b", "community"),
        ("b", "grid-import", Decimal("0.5"), Decimal("0.15"), "member:b", "grid"),
        ("c", "local-sale", Decimal("2"), Decimal("0.40"), "community", "member:c"),
    ]
    assert {(entry.session, entry.slot) for entry in entries} == {(1, 2)}


def test_energies_finer_than_a_step_are_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        exchange_energy({"a": Decimal("1.0000000001")}, pooled=True)


@given(
    st.lists(st.decimals(-(10**6), 10**6, places=18), min_size=1, max_size=9).map(
        lambda amounts: {f"m{number}": amount for number, amount in enumerate(amounts)}
    )
)
def test_cents_add_up_to_the_rounded_total(exact_eur: dict[str, Decimal]) -> None:
    cents = round_to_cents(exact_eur)
    assert list(cents) == list(exact_eur)
    for member, amount in cents.items():
        assert amount == amount.quantize(Decimal("0.01"))
        assert abs(amount - exact_eur[member]) < Decimal("0.01")
    assert abs(total(list(cents.values())) - total(list(exact_eur.values()))) <= Decimal("0.005")


def test_cents_go_to_the_largest_remainders_and_halves_are_rounded_up() -> None:
    assert round_to_cents({"a": Decimal("0.004"), "b": Decimal("0.007"), "c": Decimal("-0.001")}) == {
        "a": Decimal("0.00"),
        "b": Decimal("0.01"),
        "c": Decimal("0.00"),
    }
    for amount in ("0.005", "-0.005", "0.0049", "1.115"):
        expected = Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)
        if amount.startswith("-"):
            expected = Decimal("0.00")  # half up, not away from zero
        assert round_to_cents({"a": Decimal(amount)}) == {"a": expected}


def test_a_bill_holds_a_members_energies_and_a_member_without_entries_gets_one_too() -> None:
    net_kwh = {"a": Decimal("3"), "b": Decimal("-1"), "c": Decimal(0)}
    prices = SlotPrices(Decimal("0.301"), Decimal("0.10"), Decimal("0.2005"))
    entries = [
        entry
        for slot in range(2)
        for entry in slot_entries(0, slot, exchange_energy(net_kwh, pooled=True), prices)
    ]
    a, b, c = bills(0, list(net_kwh), entries)
    assert (a.local_purchase_kwh, a.grid_import_kwh, a.local_sale_kwh) == (Decimal(2), Decimal(4), Decimal(0))
    assert (b.local_sale_kwh, b.grid_export_kwh) == (Decimal(2), Decimal(0))
    assert (a.exact_eur, b.exact_eur, c.exact_eur) == (Decimal("1.605"), Decimal("-0.401"), Decimal(0))
    assert a.amount_eur + b.amount_eur + c.amount_eur == Decimal("1.20")
