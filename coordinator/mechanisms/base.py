"""What every mechanism offers, and how one is made by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from runtime.mechanisms import check_parameters, load_mechanism

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tariffs:
    """The grid's tariffs of a session, shape (slots,) [EUR/kWh]."""

    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array

    @property
    def suspended(self) -> NDArray[np.bool_]:
        """Slots whose feed-in tariff is above the import price: netting there would destroy value."""
        return self.export_price_eur_per_kwh > self.import_price_eur_per_kwh


@dataclass(frozen=True)
class Signal:
    """Prices of the next round, shape (slots,) [EUR/kWh], and the proximal weight [EUR/kWh²]."""

    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array
    proximal_weight_eur_per_kwh2: float = 0.0


@dataclass(frozen=True)
class Agreed:
    """The negotiation is over: the round whose positions count, and its prices."""

    round: int
    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array


class Parameters(BaseModel):
    """Base of a mechanism's parameters, as a scenario gives them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Mechanism(ABC):
    """One session's negotiation. Round 0 always tells the grid's tariffs; ``respond`` makes the next ones."""

    parameters_model: ClassVar[type[BaseModel]] = Parameters

    def __init__(self, tariffs: Tariffs, parameters: Parameters) -> None:
        """Begin a session at these tariffs."""
        self.tariffs = tariffs
        self.parameters = parameters

    @abstractmethod
    def respond(self, net_kwh: Array) -> Signal | Agreed:
        """Answer the positions of the round just held.

        Args:
            net_kwh: positions, shape (members, slots), import > 0 [kWh].
        """

    @abstractmethod
    def local_price_eur_per_kwh(self, import_price: Decimal, export_price: Decimal) -> Decimal | None:
        """Price at which neighbours' energy is settled in a slot with these tariffs; None: no local trade."""


def community_cost_eur(net_kwh: Array, tariffs: Tariffs) -> float:
    """What positions together cost at the grid, netted except in suspended slots.

    Args:
        net_kwh: shape (members, slots), import > 0 [kWh].
        tariffs: the grid's tariffs.

    Returns:
        Sum over slots of G(Q), Q the sum over members [EUR]; in a suspended slot the sum of G(q) [EUR].
    """
    buy, sell = tariffs.import_price_eur_per_kwh, tariffs.export_price_eur_per_kwh

    def at_the_grid(energy_kwh: Array) -> Array:
        return np.where(energy_kwh > 0, energy_kwh * buy, energy_kwh * sell)

    alone = at_the_grid(net_kwh).sum(axis=0)
    pooled = at_the_grid(net_kwh.sum(axis=0))
    return float(np.where(tariffs.suspended, alone, pooled).sum())


def mechanism_for(name: str, parameters: dict[str, Any]) -> Callable[[Tariffs], Mechanism]:
    """What makes a session's mechanism.

    Raises:
        InputError: no such mechanism, or a parameter that it does not take.
    """
    kind: type[Mechanism] = load_mechanism(name)
    checked = cast(Parameters, check_parameters(name, kind, parameters))
    return lambda tariffs: kind(tariffs, checked)
