"""The indices by which Zhou, Wu and Long compare ways of sharing energy: pure functions.

Source: Y. Zhou, J. Wu, C. Long, *Evaluation of peer-to-peer energy sharing mechanisms based on a multiagent
simulation framework*, Applied Energy 222 (2018), as later papers transcribe it. Two readings are uncertain
there and are marked as such: how incomes are shifted before their Gini coefficient is taken, and what the
power flatness is held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from coordinator.indicators.efficiency import score
from coordinator.indicators.fairness import gini
from coordinator.indicators.measures import (
    NO_MONEY_EUR,
    imports_kwh,
    peak_to_average,
    self_sufficiency,
)


@dataclass(frozen=True)
class ZhouIndices:
    """The six indices and what they come to; ``None`` where one has no meaning.

    Attributes:
        value_tapping: share of the achievable saving, VI.
        participation: share of members that pay less than alone, PI.
        equality: one less the Gini coefficient of shifted incomes, EI.
        energy_balance: EBI.
        power_flatness: PFI; without lower bound.
        self_sufficiency: SSI.
    """

    value_tapping: float | None
    participation: float | None
    equality: float | None
    energy_balance: float | None
    power_flatness: float | None
    self_sufficiency: float | None

    @property
    def economic(self) -> float | None:
        """Mean of value tapping, participation and equality; None if one of them is."""
        return _mean([self.value_tapping, self.participation, self.equality])

    @property
    def technical(self) -> float | None:
        """Mean of energy balance, power flatness and self-sufficiency; None if one of them is."""
        return _mean([self.energy_balance, self.power_flatness, self.self_sufficiency])

    @property
    def overall(self) -> float | None:
        """Mean of the economic and the technical performance; None if one of them is."""
        return _mean([self.economic, self.technical])


def zhou_indices(
    *,
    alone_costs_eur: Sequence[float],
    costs_eur: Sequence[float],
    optimum_cost_eur: float | None,
    boundary_kwh: ArrayLike,
    alone_boundary_kwh: ArrayLike,
    slot_hours: ArrayLike,
    load_kwh: float,
    pv_kwh: float,
) -> ZhouIndices:
    """Compute the six indices.

    Args:
        alone_costs_eur: what each member pays alone, shape (members,).
        costs_eur: what each member pays, shape (members,).
        optimum_cost_eur: cost of the coordinated optimum; None if it is not known.
        boundary_kwh: net energy of the community, import > 0, shape (slots,).
        alone_boundary_kwh: the same with the members' plans alone, shape (slots,).
        slot_hours: length of the slots [h], a number or shape (slots,).
        load_kwh: consumption of all members and slots.
        pv_kwh: production, likewise.
    """
    alone_eur, cost_eur = float(np.sum(alone_costs_eur)), float(np.sum(costs_eur))
    return ZhouIndices(
        value_tapping=None if optimum_cost_eur is None else score(alone_eur, cost_eur, optimum_cost_eur),
        participation=participation(alone_costs_eur, costs_eur),
        equality=equality(costs_eur),
        energy_balance=energy_balance(boundary_kwh, load_kwh, pv_kwh),
        power_flatness=power_flatness(boundary_kwh, alone_boundary_kwh, slot_hours),
        self_sufficiency=self_sufficiency(load_kwh, imports_kwh(boundary_kwh)),
    )


def participation(alone_costs_eur: ArrayLike, costs_eur: ArrayLike) -> float | None:
    """Share of members that pay less than alone, by more than rounding.

    Args:
        alone_costs_eur: shape (members,).
        costs_eur: shape (members,).

    Returns:
        The share in [0, 1], or ``None`` without members.
    """
    saved = np.asarray(alone_costs_eur, dtype=np.float64) - np.asarray(costs_eur, dtype=np.float64)
    return float(np.mean(saved > NO_MONEY_EUR)) if saved.size else None


def equality(costs_eur: ArrayLike) -> float | None:
    """One less the Gini coefficient of incomes, an income being a bill's negative.

    A Gini coefficient needs incomes that are not negative. Our reading of the shift, which is uncertain: all
    are raised by the same amount, so that the lowest is 0.

    Args:
        costs_eur: what each member pays, shape (members,).

    Returns:
        1 if all have the same income, 1/n if one of n has all; ``None`` without members.
    """
    income = -np.asarray(costs_eur, dtype=np.float64)
    if not income.size:
        return None
    unequal = gini(income - income.min())
    return 1.0 if unequal is None else 1.0 - unequal


def energy_balance(boundary_kwh: ArrayLike, load_kwh: float, pv_kwh: float) -> float | None:
    """How little the community exchanges for what it consumes and produces: 1 − Σ|Q|/(Σ load + Σ PV).

    Args:
        boundary_kwh: net energy of the community, shape (slots,).
        load_kwh: consumption of all members and slots.
        pv_kwh: production, likewise.

    Returns:
        1 if nothing is exchanged; ``None`` without consumption and production.
    """
    total = load_kwh + pv_kwh
    return 1.0 - float(np.sum(np.abs(boundary_kwh))) / total if total > 0 else None


def power_flatness(boundary_kwh: ArrayLike, reference_kwh: ArrayLike, slot_hours: ArrayLike) -> float | None:
    """One less the peak-to-average ratio of the community's power over that of a reference.

    Our reading of the reference, which is uncertain: the members' plans alone, added up.

    Args:
        boundary_kwh: net energy of the community, shape (slots,).
        reference_kwh: that of the reference, shape (slots,).
        slot_hours: length of the slots [h], a number or shape (slots,).

    Returns:
        0 if as flat as the reference, below 0 if less flat, without lower bound; ``None`` where one of the
        two exchanges nothing.
    """
    ratio = peak_to_average(boundary_kwh, slot_hours)
    reference = peak_to_average(reference_kwh, slot_hours)
    return None if ratio is None or reference is None else 1.0 - ratio / reference


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
