"""A slot's metered energy turned into exact money.

What neighbours can cover among themselves, M = min(D, S), changes hands at the local price; the longer side
is rationed pro rata and exchanges the rest with the grid at its tariffs. So, whatever was announced before:
what members pay equals what the community pays the grid, and with a local price between the tariffs nobody
pays more than the same metered energy costs alone at the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation, localcontext

from runtime.records import Bill, LedgerEntry, LedgerKind

ENERGY_STEP_KWH = Decimal("1e-9")
"""Energies are settled in whole multiples of this: 1 µWh, far below what a meter resolves."""

PRICE_STEP_EUR_PER_KWH = Decimal("1e-9")
"""Prices are settled in whole multiples of this."""

CENT_EUR = Decimal("0.01")

_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
"""Money is never rounded unnoticed: an inexact operation is an error."""

_SHARE_KINDS: dict[LedgerKind, int] = {
    "local-purchase": 1,
    "local-sale": -1,
    "grid-import": 1,
    "grid-export": -1,
}


@dataclass(frozen=True, slots=True)
class Share:
    """How one member's metered energy of a slot was exchanged; energies not negative [kWh]."""

    member: str
    local_purchase_kwh: Decimal
    local_sale_kwh: Decimal
    grid_import_kwh: Decimal
    grid_export_kwh: Decimal


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """Prices of a slot [EUR/kWh]: the grid's tariffs, and the local price (None: no local trade)."""

    import_price_eur_per_kwh: Decimal
    export_price_eur_per_kwh: Decimal
    local_price_eur_per_kwh: Decimal | None

    def of(self, kind: LedgerKind) -> Decimal:
        """Price that applies to a kind of ledger entry."""
        if kind == "grid-import":
            return self.import_price_eur_per_kwh
        if kind == "grid-export":
            return self.export_price_eur_per_kwh
        if self.local_price_eur_per_kwh is None:
            raise ValueError("no local price in a slot without local trade")
        return self.local_price_eur_per_kwh


def share_energy(net_kwh: dict[str, Decimal], local_trade: bool) -> list[Share]:
    """Pair members' metered net energies with each other and the grid.

    Args:
        net_kwh: each member's metered net energy, import > 0, multiples of ``ENERGY_STEP_KWH``.
        local_trade: False leaves everybody at the grid (a slot whose feed-in tariff is above the import
            price, where netting would destroy value).

    Returns:
        One share a member, in the order given; local purchases and sales have the same sum, exactly.

    Raises:
        ValueError: an energy is no multiple of ``ENERGY_STEP_KWH``.
    """
    steps = {member: _in_steps(energy) for member, energy in net_kwh.items()}
    bought = {member: step for member, step in steps.items() if step > 0}
    sold = {member: -step for member, step in steps.items() if step < 0}
    traded = min(sum(bought.values()), sum(sold.values())) if local_trade else 0
    local_bought = ration(bought, traded)
    local_sold = ration(sold, traded)

    def in_kwh(whole_steps: int) -> Decimal:
        return whole_steps * ENERGY_STEP_KWH

    return [
        Share(
            member=member,
            local_purchase_kwh=in_kwh(local_bought.get(member, 0)),
            local_sale_kwh=in_kwh(local_sold.get(member, 0)),
            grid_import_kwh=in_kwh(bought.get(member, 0) - local_bought.get(member, 0)),
            grid_export_kwh=in_kwh(sold.get(member, 0) - local_sold.get(member, 0)),
        )
        for member in net_kwh
    ]


def ration(wanted: dict[str, int], total: int) -> dict[str, int]:
    """Split ``total`` in proportion to ``wanted``, in whole steps that add up to ``total``.

    Largest remainders get the steps that rounding down leaves; equal remainders in the order given. Nobody
    gets more than wanted, since ``total`` is at most the sum.
    """
    everything = sum(wanted.values())
    if total == 0 or everything == 0:
        return dict.fromkeys(wanted, 0)
    parts = {member: want * total // everything for member, want in wanted.items()}
    by_remainder = sorted(wanted, key=lambda member: -(wanted[member] * total % everything))
    for member in by_remainder[: total - sum(parts.values())]:
        parts[member] += 1
    return parts


def ledger_entries(session: int, slot: int, shares: list[Share], prices: SlotPrices) -> list[LedgerEntry]:
    """The double entries of a slot; a member without energy has none.

    Local trade goes through the account ``community``, which is therefore at zero after every slot.
    """
    entries = []
    for share in shares:
        for kind, sign in _SHARE_KINDS.items():
            energy_kwh = getattr(share, f"{kind.replace('-', '_')}_kwh")
            if energy_kwh == 0:
                continue
            member, other = f"member:{share.member}", "grid" if kind.startswith("grid") else "community"
            price = prices.of(kind)
            with localcontext(_EXACT):
                amount_eur = energy_kwh * price
            entries.append(
                LedgerEntry(
                    session=session,
                    slot=slot,
                    member=share.member,
                    kind=kind,
                    energy_kwh=energy_kwh,
                    price_eur_per_kwh=price,
                    amount_eur=amount_eur,
                    debit=member if sign > 0 else other,
                    credit=other if sign > 0 else member,
                )
            )
    return entries


def owed_eur(entries: list[LedgerEntry]) -> Decimal:
    """What the members of these entries pay in all (negative: receive) [EUR]."""
    with localcontext(_EXACT):
        return sum((_SHARE_KINDS[entry.kind] * entry.amount_eur for entry in entries), Decimal(0))


def bills(session: int, members: list[str], entries: list[LedgerEntry]) -> list[Bill]:
    """One bill a member for a session, in cents that add up to the rounded total.

    Amounts are rounded down to cents; the cents missing to the rounded total go to the largest remainders,
    equal ones in the members' order.
    """
    of_member: dict[str, list[LedgerEntry]] = {member: [] for member in members}
    for entry in entries:
        of_member[entry.member].append(entry)
    exact = {member: owed_eur(own) for member, own in of_member.items()}
    cents = round_to_cents(exact)

    def energy_kwh(own: list[LedgerEntry], kind: LedgerKind) -> Decimal:
        return sum((entry.energy_kwh for entry in own if entry.kind == kind), Decimal(0))

    return [
        Bill(
            session=session,
            member=member,
            local_purchase_kwh=energy_kwh(own, "local-purchase"),
            local_sale_kwh=energy_kwh(own, "local-sale"),
            grid_import_kwh=energy_kwh(own, "grid-import"),
            grid_export_kwh=energy_kwh(own, "grid-export"),
            exact_eur=exact[member],
            amount_eur=cents[member],
        )
        for member, own in of_member.items()
    ]


def round_to_cents(exact_eur: dict[str, Decimal]) -> dict[str, Decimal]:
    """Amounts in cents whose sum is the exact sum rounded half up; each within a cent of its exact value."""
    with localcontext(_EXACT):
        in_cents = {member: amount / CENT_EUR for member, amount in exact_eur.items()}
        total = sum(in_cents.values(), Decimal("0.5")).to_integral_value(ROUND_FLOOR)
        cents = {member: int(amount.to_integral_value(ROUND_FLOOR)) for member, amount in in_cents.items()}
        by_remainder = sorted(in_cents, key=lambda member: cents[member] - in_cents[member])
        for member in by_remainder[: int(total) - sum(cents.values())]:
            cents[member] += 1
        return {member: amount * CENT_EUR for member, amount in cents.items()}


def _in_steps(energy_kwh: Decimal) -> int:
    steps = energy_kwh / ENERGY_STEP_KWH
    if steps != steps.to_integral_value():
        raise ValueError(f"{energy_kwh} kWh is not a multiple of {ENERGY_STEP_KWH} kWh")
    return int(steps)
