"""Market mechanisms: from members' positions to prices, and from metered energy to the local price.

A mechanism is pure: it knows arrays and prices, nothing of messages. One module holds one mechanism, and an
entry point of the group ``peerwatt.mechanisms`` gives it its name in scenarios.
"""

from coordinator.mechanisms.base import (
    Agreed,
    Answers,
    Bargain,
    Call,
    Clearing,
    Contract,
    Declaration,
    Declare,
    InTurn,
    Mechanism,
    OtherCommunity,
    Parameters,
    PriceStep,
    Schedule,
    Signal,
    mechanism_for,
)

__all__ = [
    "Agreed",
    "Answers",
    "Bargain",
    "Call",
    "Clearing",
    "Contract",
    "Declaration",
    "Declare",
    "InTurn",
    "Mechanism",
    "OtherCommunity",
    "Parameters",
    "PriceStep",
    "Schedule",
    "Signal",
    "mechanism_for",
]
