"""A settled slot corrected: the member's own exchange with the grid is entered anew, nothing else changes.

A slot is settled with what is known when it has passed. What a meter tells later of it cannot be matched with
neighbours' energy any more, so it is energy of the grid: with g the member's energy with the grid as settled
(import > 0) and d what the correction adds, g + d is what it should have been. The difference between the two
is entered at the slot's tariffs: energy from the grid at the import tariff, energy to it at the feed-in
tariff. Trade with neighbours, fees and charges above the limit stay as they were settled, so nobody else's
bill changes and members still pay what the community pays the grid, to the last digit.

It depends on the last correction of a slot alone, not on those before. As long as the correction does not
turn the member's exchange with the grid around, nobody pays more than the corrected energy costs alone at the
grid; beyond that who had bought from neighbours what it did not take bears the difference between local
price and feed-in tariff on these kWh (and likewise who had sold what it did not give): that energy was taken
in and paid for in its name.

A demand charge is on the corrected energy. A session that is shared out (bill sharing) is shared as settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from coordinator.settlement.exact import ENERGY_STEP_KWH, EXACT
from runtime.bookkeeping import LedgerEntry
from runtime.protocol.bodies import AdjustmentLine, DeliveryCorrection
from runtime.records import Delivery


@dataclass(frozen=True, slots=True)
class SettledGrid:
    """A member's slot as it was settled, as far as a correction depends on it.

    Attributes:
        net_kwh: the energy settled, import > 0.
        grid_import_kwh: of it, from the grid.
        grid_export_kwh: of it, to the grid.
        import_price_eur_per_kwh: the slot's import tariff.
        export_price_eur_per_kwh: the slot's feed-in tariff.
    """

    net_kwh: Decimal
    grid_import_kwh: Decimal
    grid_export_kwh: Decimal
    import_price_eur_per_kwh: Decimal
    export_price_eur_per_kwh: Decimal


def adjustment(settled: SettledGrid, correction: DeliveryCorrection) -> AdjustmentLine:
    """What a correction comes to, all earlier ones of the slot included."""
    corrected_kwh = correction.net_kwh.quantize(ENERGY_STEP_KWH)
    with localcontext(EXACT):
        grid_kwh = settled.grid_import_kwh - settled.grid_export_kwh + corrected_kwh - settled.net_kwh
        more_in = max(grid_kwh, Decimal(0)) - settled.grid_import_kwh
        more_out = max(-grid_kwh, Decimal(0)) - settled.grid_export_kwh
        amount_eur = more_in * settled.import_price_eur_per_kwh - more_out * settled.export_price_eur_per_kwh
    return AdjustmentLine(
        session=correction.session,
        slot=correction.slot,
        settled_net_kwh=settled.net_kwh,
        corrected_net_kwh=corrected_kwh,
        grid_import_kwh=more_in,
        grid_export_kwh=more_out,
        import_price_eur_per_kwh=settled.import_price_eur_per_kwh,
        export_price_eur_per_kwh=settled.export_price_eur_per_kwh,
        amount_eur=amount_eur,
        quality=correction.quality,
    )


def correction_entries(member: str, line: AdjustmentLine) -> list[LedgerEntry]:
    """The double entries of an adjustment: none for an energy that did not change."""
    own = f"member:{member}"
    entries = []
    for more_kwh, price, pays in (
        (line.grid_import_kwh, line.import_price_eur_per_kwh, line.grid_import_kwh > 0),
        (line.grid_export_kwh, line.export_price_eur_per_kwh, line.grid_export_kwh < 0),
    ):
        if not more_kwh:
            continue
        with localcontext(EXACT):
            amount_eur = abs(more_kwh) * price
        entries.append(
            LedgerEntry(
                session=line.session,
                slot=line.slot,
                member=member,
                kind="correction",
                energy_kwh=abs(more_kwh),
                price_eur_per_kwh=price,
                amount_eur=amount_eur,
                debit=own if pays else "grid",
                credit="grid" if pays else own,
            )
        )
    return entries


class Corrections:
    """The corrections of one session; the last one of a member's slot counts."""

    def __init__(self) -> None:
        """Begin without any."""
        self._settled: dict[tuple[int, str], SettledGrid] = {}
        self._lines: dict[tuple[int, str], tuple[AdjustmentLine, DeliveryCorrection]] = {}

    def settled(self, slot: int, member: str, settled: SettledGrid) -> None:
        """Note how a member's slot was settled; from now on it can be corrected."""
        self._settled[slot, member] = settled

    def take(self, member: str, correction: DeliveryCorrection) -> AdjustmentLine:
        """Take a correction in; what it comes to.

        Raises:
            KeyError: the slot is not settled yet.
        """
        key = correction.slot, member
        line = adjustment(self._settled[key], correction)
        self._lines[key] = line, correction
        return line

    def corrected(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """The deliveries with what is known of them by now, in their order."""
        return [self._corrected(delivery) for delivery in deliveries]

    def _corrected(self, delivery: Delivery) -> Delivery:
        found = self._lines.get((delivery.slot, delivery.member))
        if found is None:
            return delivery
        line, correction = found
        return delivery.model_copy(
            update={
                "net_kwh": line.corrected_net_kwh,
                "quality": line.quality,
                "meters": list(correction.meters),
                "settled_net_kwh": line.settled_net_kwh,
                "settled_quality": delivery.quality,
                "settled_meters": delivery.meters,
            }
        )

    def entries(self, members: Iterable[str]) -> list[LedgerEntry]:
        """The double entries of all corrections, by slot and in the members' order, whenever they came."""
        place = {member: number for number, member in enumerate(members)}
        return [
            entry
            for slot, member in sorted(self._lines, key=lambda key: (key[0], place[key[1]]))
            for entry in correction_entries(member, self._lines[slot, member][0])
        ]
