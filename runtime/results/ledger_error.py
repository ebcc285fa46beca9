"""What is raised when a ledger does not add up."""

from __future__ import annotations

from runtime.errors import PeerwattError


class LedgerError(PeerwattError):
    """A ledger that does not balance, or bills that do not follow from it."""
