"""Decentralised market: members bargain pair by pair among themselves; the coordinator only settles.

After round 0 the coordinator has the members bargain; each answers with the position it then plans and the
trades it agreed on. A trade counts if both sides report the same (``coordinator.trades``); energy that trades
do not cover is at the grid's tariffs. What happens between members is in ``agents.bargaining.proposals``: the
alternating direction method of multipliers on pairs. Of the community's connection, which nobody owns, the
coordinator gives each member a share (``coordinator.connection_shares``); beyond its share, energy from the
grid is dearer by the excess price, and neighbours' energy is worth as much more. Sources: T. Baroche et al.,
*Prosumer markets: a unified formulation*, IEEE PowerTech 2019; T. Sousa et al., Renew. Sustain. Energy Rev.
104 (2019).
"""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np
from pydantic import Field

from coordinator.connection_shares import connection_shares
from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import (
    Agreed,
    Answers,
    Array,
    Bargain,
    Clearing,
    Contract,
    Family,
    Mechanism,
    Parameters,
)
from runtime.errors import InputError

_LEAST_SPREAD = 0.1
"""Share of the mean below which a slot's spread does not count for its penalty."""

_LEAST_PENALTY_EUR_PER_KWH2 = 1e-6

MOST_TRADES = 4800
"""Partners times slots that a member's report has room for in one message."""


class BilateralParameters(Parameters):
    """What a scenario may set.

    Attributes:
        max_rounds: rounds of bargaining, at most.
        tolerance: bargaining ends once no member is apart from its partners, or changes its plan, by more
            than this share of the mean energy per slot.
        penalty: ρ of a slot, as a multiple of (members − 1) · tariff spread / mean energy of a
            position, in that slot or in all if that is more.
    """

    max_rounds: int = Field(default=40, ge=1, le=1000)
    tolerance: float = Field(default=2e-3, ge=0)
    penalty: float = Field(default=0.12, gt=0)


class Bilateral(Mechanism):
    """See the module."""

    parameters_model = BilateralParameters
    title: ClassVar[str] = "Bilateral bargaining"
    summary: ClassVar[str] = (
        "Members bargain pair by pair among themselves; the coordinator settles what both sides report."
    )
    discloses: ClassVar[str] = (
        "To every other member, the energy it would trade and at which price in every round; to the "
        "coordinator, its position, what it agreed on, and metered net energy."
    )
    family: ClassVar[Family] = "decentralised"

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff.

        Raises:
            InputError: too many members and slots for members to report all trades in one message.
        """
        if (members - 1) * tariff.slots > MOST_TRADES:
            raise InputError(
                f"mechanism: found {members} members that would bargain over {tariff.slots} slots, expected "
                f"(members − 1) × slots of at most {MOST_TRADES}"
            )
        super().__init__(tariff, parameters, members)
        self._own = cast(BilateralParameters, parameters)
        self._bargained = False
        self._contracts: tuple[Contract, ...] = ()

    def respond(self, answers: Answers) -> Bargain | Agreed:
        """Have members bargain after the grid's tariffs, and take what they agreed on."""
        if self._bargained:
            self._contracts = answers.contracts
            return Agreed(1)
        self._bargained = True
        scale_kwh = float(np.abs(answers.net_kwh).mean())
        if self.members < 2 or scale_kwh == 0 or self.tariff.suspended.all():
            return Agreed(0)
        return Bargain(
            max_rounds=self._own.max_rounds,
            tolerance_kwh=self._own.tolerance * scale_kwh,
            penalty_eur_per_kwh2=self._penalties_at(np.abs(answers.net_kwh).mean(axis=0), self.members),
            shares=connection_shares(answers.net_kwh, self.tariff),
        )

    def _penalties_at(self, energy: Array, members: int) -> Array:
        """ρ by slot, of so many members that bargain with positions of this mean energy [kWh]."""
        tariff = self.tariff
        spread = np.maximum(tariff.import_price_eur_per_kwh - tariff.export_price_eur_per_kwh, 0.0)
        share = np.maximum(spread, _LEAST_SPREAD * spread.mean()) / np.maximum(energy, energy.mean())
        penalties = self._own.penalty * (members - 1) * share
        return np.asarray(np.maximum(penalties, _LEAST_PENALTY_EUR_PER_KWH2))

    def clear(self, net_kwh: Array) -> Clearing:
        """The contracts; what they do not cover is at the grid's tariffs.

        Contracts of members that go back to their plans alone are cancelled by who asks for the clearing
        (``coordinator.opting_out``).
        """
        return Clearing(np.full(self.tariff.slots, np.nan), self._contracts)
