"""What a filter asks for, as conditions on the rows of an index."""

from __future__ import annotations

from typing import Any

from runtime.inspection.index.lines import at_number
from runtime.inspection.index.store import IndexStore
from runtime.messagelog.filters import MessageFilter, is_agent


class Conditions:
    """Conditions on messages' rows, all of which must hold."""

    def __init__(self, store: IndexStore) -> None:
        """Begin with none, on messages of ``store``."""
        self._store = store
        self._parts: list[str] = []
        self.values: list[Any] = []

    @property
    def text(self) -> str:
        """All of them, as SQL; ``values`` belong to it."""
        return " AND ".join(self._parts) or "1"

    def add(self, condition: str, *values: Any) -> None:  # noqa: ANN401 - what SQLite keeps
        """Add one, with its values."""
        self._parts.append(condition)
        self.values += values

    def names(self, column: str, names: list[str]) -> None:
        """The column is one of some names."""
        condition, values = self._one_of(column, names)
        self.add(condition, *values)

    def criteria(self, criteria: MessageFilter) -> None:
        """All that a filter asks for, but for its text."""
        self.time(criteria)
        self._ends(criteria)
        for column, name in (
            ("performative", criteria.performative),
            ("protocol", criteria.protocol),
            ("type", criteria.body_type),
        ):
            if name is not None:
                self.names(column, [str(name)])
        if criteria.session is not None:
            condition, values = self._one_of("conversation", [criteria.session])
            if criteria.session.isdecimal() and str(int(criteria.session)) == criteria.session:
                condition, values = f"({condition} OR session = ?)", [*values, int(criteria.session) - 1]
            self.add(condition, *values)
        for column, number in (("round", criteria.round), ("slot", criteria.slot)):
            if number is not None:
                self.add(f"{column} = ?", number)

    def time(self, criteria: MessageFilter) -> None:
        """Since and until."""
        if criteria.since is not None:
            self.add("at >= ?", at_number(criteria.since.encode()))
        if criteria.until is not None:
            self.add("at < ?", at_number(criteria.until.encode()))

    def _ends(self, criteria: MessageFilter) -> None:
        if criteria.agent is None and criteria.peer is None:
            return
        ways, values = [], []
        for end, other, direction in (("sender", "recipient", "out"), ("recipient", "sender", "in")):
            if criteria.agent is not None and criteria.direction not in (None, direction):
                continue
            parts = []
            for column, wanted in ((end, criteria.agent), (other, criteria.peer)):
                if wanted is not None:
                    jids = [jid for jid in self._store.names.values() if is_agent(wanted, jid)]
                    condition, found = self._one_of(column, jids)
                    parts.append(condition)
                    values += found
            ways.append(f"({' AND '.join(parts)})")
        self.add(f"({' OR '.join(ways)})", *values)

    def _one_of(self, column: str, names: list[str]) -> tuple[str, list[int]]:
        numbers = [number for name in names if (number := self._store.number_of(name)) is not None]
        return f"{column} IN ({', '.join('?' * len(numbers))})", numbers
