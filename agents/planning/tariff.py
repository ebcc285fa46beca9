"""What a slot's net energy costs: import and export prices, and block tariffs with a threshold per slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import InputError

FloatArray = NDArray[np.float64]


def checked_row(name: str, values: ArrayLike, slots: int | None = None) -> FloatArray:
    """One finite number per slot, read-only.

    Args:
        name: what it is called in an error.
        values: the numbers.
        slots: how many are expected; None takes any number but none.

    Raises:
        InputError: another shape, or a number that is not finite.
    """
    row = np.array(values, dtype=np.float64)
    if row.ndim != 1 or row.size == 0 or (slots is not None and row.size != slots):
        expected = "one value per slot" if slots is None else f"{slots} values, one per slot"
        raise InputError(f"{name}: expected {expected}, found an array of shape {row.shape}")
    finite = np.isfinite(row)
    if not np.logical_and.reduce(finite):
        bad = int(finite.argmin())
        raise InputError(f"{name}, slot {bad}: expected a finite number, found {row[bad]}")
    row.flags.writeable = False
    return row


@dataclass(frozen=True, eq=False)
class BlockTariff:
    """A second pair of prices, for energy above a threshold of net energy.

    Each kWh between zero net energy and the member's own is priced by where it lies: at the first pair of
    prices below the threshold, at this pair above it; at the import price of its pair above zero, at the
    export price below zero. The threshold may have either sign.

    A community's block tariff (the member pays what it changes in the community's bill) has one price on
    either side of the threshold: the grid's export price below −Q, where Q is the net energy of all others,
    and the grid's import price above it.

    Attributes:
        threshold_kwh: net energy at which the prices change [kWh per slot, import > 0], shape (T,).
        import_price_eur_per_kwh: price of imported energy above it [EUR/kWh], shape (T,).
        export_price_eur_per_kwh: price paid for exported energy above it [EUR/kWh], shape (T,).

    Raises:
        InputError: a series of the wrong length or not finite.
    """

    threshold_kwh: FloatArray
    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray

    def __post_init__(self) -> None:
        slots = None
        for name in ("threshold_kwh", "import_price_eur_per_kwh", "export_price_eur_per_kwh"):
            row = checked_row(f"block.{name}", getattr(self, name), slots)
            slots = row.size
            object.__setattr__(self, name, row)

    @property
    def slots(self) -> int:
        """Number of slots T."""
        return self.threshold_kwh.size


@dataclass(frozen=True, eq=False)
class Hinge:
    """A price on the distance of the net energy from a point: ``above [n − at]₊ + below [at − n]₊``.

    Attributes:
        at_kwh: the point [kWh per slot, import > 0], shape (T,).
        above_eur_per_kwh: price above it [EUR/kWh], shape (T,).
        below_eur_per_kwh: price below it [EUR/kWh], shape (T,).
    """

    at_kwh: FloatArray
    above_eur_per_kwh: FloatArray
    below_eur_per_kwh: FloatArray


@dataclass(frozen=True, eq=False)
class NetTariff:
    """Cost of net energy: one price on each side of zero, and hinges.

    ``C(n) = import [n]₊ − export [−n]₊ + Σ hinges(n)``. C(0) = 0: hinges act away from zero only.

    Attributes:
        import_price_eur_per_kwh: price just above zero [EUR/kWh], shape (T,).
        export_price_eur_per_kwh: price just below zero [EUR/kWh], shape (T,).
        hinges: further changes of price.
    """

    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray
    hinges: tuple[Hinge, ...] = ()

    def cost_eur(self, net_kwh: FloatArray) -> FloatArray:
        """Cost of each slot [EUR]; net energy [kWh per slot], first axis T; shape as given."""
        imports, exports = self.import_price_eur_per_kwh, self.export_price_eur_per_kwh
        if net_kwh.ndim == 1 and not self.hinges:
            price: FloatArray = np.where(net_kwh > 0, imports, exports)
            return net_kwh * price
        trailing = (slice(None),) + (None,) * (net_kwh.ndim - 1)
        cost: FloatArray = net_kwh * np.where(net_kwh > 0, imports[trailing], exports[trailing])
        for hinge in self.hinges:
            beyond = net_kwh - hinge.at_kwh[trailing]
            cost += beyond * np.where(
                beyond > 0, hinge.above_eur_per_kwh[trailing], -hinge.below_eur_per_kwh[trailing]
            )
        return cost

    def marginal_eur_per_kwh(self, net_kwh: FloatArray) -> FloatArray:
        """Price of one more kWh where it does not change [EUR/kWh]; arguments as :meth:`cost_eur`."""
        trailing = (slice(None),) + (None,) * (net_kwh.ndim - 1)
        price = np.where(
            net_kwh > 0, self.import_price_eur_per_kwh[trailing], self.export_price_eur_per_kwh[trailing]
        )
        for hinge in self.hinges:
            price = price + np.where(
                net_kwh > hinge.at_kwh[trailing],
                hinge.above_eur_per_kwh[trailing],
                -hinge.below_eur_per_kwh[trailing],
            )
        return price


def net_tariff(
    import_price_eur_per_kwh: FloatArray, export_price_eur_per_kwh: FloatArray, block: BlockTariff | None
) -> NetTariff:
    """The cost of net energy that two prices, or four and a threshold, make.

    Args:
        import_price_eur_per_kwh: import price, below the threshold where there is one [EUR/kWh], shape (T,).
        export_price_eur_per_kwh: export price, likewise.
        block: threshold and prices above it.

    Returns:
        The tariff.
    """
    if block is None:
        return NetTariff(import_price_eur_per_kwh, export_price_eur_per_kwh)
    # Around zero, the pair counts on whose side of the threshold zero lies; the other is a hinge.
    lower_zero = block.threshold_kwh >= 0
    nothing = np.zeros(block.slots)
    hinge = Hinge(
        at_kwh=block.threshold_kwh,
        above_eur_per_kwh=np.where(
            lower_zero, block.import_price_eur_per_kwh - import_price_eur_per_kwh, nothing
        ),
        below_eur_per_kwh=np.where(
            lower_zero, nothing, block.export_price_eur_per_kwh - export_price_eur_per_kwh
        ),
    )
    return NetTariff(
        np.where(lower_zero, import_price_eur_per_kwh, block.import_price_eur_per_kwh),
        np.where(lower_zero, export_price_eur_per_kwh, block.export_price_eur_per_kwh),
        (hinge,),
    )
