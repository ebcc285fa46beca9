"""The price rounds of one session: who answered, whose position counts, what was agreed. No messages."""

from __future__ import annotations

import numpy as np

from coordinator.mechanisms import Agreed, Mechanism, Signal
from coordinator.mechanisms.base import Array, community_cost_eur
from runtime.records import Round


class Negotiation:
    """Rounds of positions against a mechanism's price signals.

    Attributes:
        mechanism: what makes the prices.
        signal: the price signal of the running round; round 0 tells the grid's tariffs.
        number: the running round.
        rounds: the rounds held so far.
        agreed: how it ended, None before.
    """

    def __init__(self, mechanism: Mechanism, members: list[str], slots: int) -> None:
        """Begin with round 0.

        Args:
            mechanism: what makes the prices.
            members: who takes part, in the order of positions.
            slots: number of slots of a position.
        """
        tariffs = mechanism.tariffs
        self.mechanism = mechanism
        self.signal = Signal(tariffs.import_price_eur_per_kwh, tariffs.export_price_eur_per_kwh)
        self.number = 0
        self.rounds: list[Round] = []
        self.agreed: Agreed | None = None
        self._members = members
        self._position = {member: np.zeros(slots) for member in members}
        self._position_round = dict.fromkeys(members, 0)
        self._position_rounds: list[dict[str, int]] = []
        self._answered: set[str] = set()
        self._declined: set[str] = set()

    def answer(self, member: str, net_kwh: Array) -> None:
        """Take a member's position in the running round, import > 0, shape (slots,)."""
        self._answered.add(member)
        self._position[member], self._position_round[member] = net_kwh, self.number

    def decline(self, member: str) -> None:
        """Note that a member will not answer in the running round."""
        self._declined.add(member)

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for any more in the running round."""
        return len(self._answered | self._declined) == len(self._members)

    @property
    def late(self) -> list[str]:
        """Members without an answer in the running round; they keep their last position."""
        return [member for member in self._members if member not in self._answered]

    def close_round(self) -> Agreed | None:
        """End the running round; the outcome if it was the last, else the next round has begun."""
        net_kwh = np.array([self._position[member] for member in self._members])
        self.rounds.append(
            Round(
                number=self.number,
                import_price_eur_per_kwh=self.signal.import_price_eur_per_kwh.tolist(),
                export_price_eur_per_kwh=self.signal.export_price_eur_per_kwh.tolist(),
                net_kwh={member: self._position[member].tolist() for member in self._members},
                late=self.late,
                community_cost_eur=community_cost_eur(net_kwh, self.mechanism.tariffs),
            )
        )
        self._position_rounds.append(dict(self._position_round))
        answer = self.mechanism.respond(net_kwh)
        if isinstance(answer, Agreed):
            self.agreed = answer
            return answer
        self.signal = answer
        self.number += 1
        self._answered, self._declined = set(), set()
        return None

    def agreed_position_kwh(self, member: str) -> Array:
        """A member's agreed net position, import > 0, shape (slots,)."""
        return np.array(self.rounds[self._agreed.round].net_kwh[member])

    def agreed_position_round(self, member: str) -> int:
        """The round in which the member gave its agreed position."""
        return self._position_rounds[self._agreed.round][member]

    @property
    def _agreed(self) -> Agreed:
        if self.agreed is None:
            raise ValueError("nothing is agreed yet")
        return self.agreed
