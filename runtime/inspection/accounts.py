"""What a member owes, in exact decimals, from what its coordinator told it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Fields = dict[str, Any]


@dataclass(slots=True)
class MemberAccount:
    """A member's bills, and the lines of sessions that are not closed; amounts below zero it receives."""

    _bills_eur: dict[int, Decimal] = field(default_factory=dict)
    _lines_eur: dict[int, Decimal] = field(default_factory=dict)
    _adjustments_eur: dict[tuple[int, int], Decimal] = field(default_factory=dict)

    def bill_line(self, body: Fields) -> None:
        """Take a settled slot.

        Raises:
            ValueError: its amount is no number.
        """
        session = int(body["session"])
        self._lines_eur[session] = self._lines_eur.get(session, Decimal(0)) + _amount_eur(body)

    def adjustment_line(self, body: Fields) -> None:
        """Take what corrections of a settled slot come to; it takes the place of an earlier one.

        Raises:
            ValueError: its amount is no number.
        """
        self._adjustments_eur[int(body["session"]), int(body["slot"])] = _amount_eur(body)

    def session_closed(self, body: Fields) -> None:
        """Take a session's bill, which takes the place of its lines.

        Raises:
            ValueError: its amount is no number.
        """
        session = int(body["session"])
        self._bills_eur[session] = _amount_eur(body)
        self._lines_eur.pop(session, None)
        for place in [place for place in self._adjustments_eur if place[0] == session]:
            del self._adjustments_eur[place]

    def session_eur(self, session: int) -> Decimal:
        """What it owes for a session: its bill, before that its lines so far [EUR]."""
        if session in self._bills_eur:
            return self._bills_eur[session]
        adjusted = (amount for place, amount in self._adjustments_eur.items() if place[0] == session)
        return sum(adjusted, self._lines_eur.get(session, Decimal(0)))

    def total_eur(self) -> Decimal:
        """What it owes since the run began: closed sessions' bills, and others' lines so far [EUR]."""
        lines = sum(self._lines_eur.values(), sum(self._adjustments_eur.values(), Decimal(0)))
        return sum(self._bills_eur.values(), lines)


def _amount_eur(body: Fields) -> Decimal:
    amount = Decimal(str(body["amount_eur"]))
    if not amount.is_finite():
        raise ValueError(f"found {amount}, expected an amount")
    return amount
