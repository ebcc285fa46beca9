"""Market mechanisms: from members' positions to prices, and from metered energy to the local price.

A mechanism is pure: it knows arrays and prices, nothing of messages. One module holds one mechanism and
registers it here.
"""

from coordinator.mechanisms.base import Agreed, Mechanism, Signal, Tariffs, mechanism_for, mechanism_names

__all__ = ["Agreed", "Mechanism", "Signal", "Tariffs", "mechanism_for", "mechanism_names"]
