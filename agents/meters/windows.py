"""Which time on the wall clock is a slot's, as a meter sees it that is asked once the slot has passed."""

from __future__ import annotations

KEPT = 1000
"""So many slots are remembered, for requests that come again."""


class SlotWindows:
    """Windows of slots on the wall clock; those of slots in a row share their edges exactly.

    A community may run a past day, or faster than the clock; a meter cannot tell from the horizon when a slot
    was. It is asked for a slot right after its end, so the first request of a session says where slots lie.
    A later request that comes earlier than expected corrects it; one that comes late, since others were
    waited for, does not move the slots.
    """

    def __init__(self) -> None:
        """Begin without knowing any slot."""
        self._windows: dict[tuple[int, int], tuple[float, float]] = {}
        self._latest: tuple[int, int] | None = None

    def window(self, session: int, slot: int, length_s: float, asked_s: float) -> tuple[float, float]:
        """Start and end of a slot [s since 1970, UTC]; always the same for the same slot.

        Args:
            session: market session, from 0.
            slot: slot of the session.
            length_s: length of the slot on the wall clock [s].
            asked_s: when the slot was asked for.
        """
        key = session, slot
        if key in self._windows:
            return self._windows[key]
        latest = self._latest
        if latest is None or key < latest:
            window = asked_s - length_s, asked_s
        else:
            previous_end_s = self._windows[latest][1]
            end_s = asked_s
            if latest[0] == session:
                end_s = min(asked_s, previous_end_s + (slot - latest[1]) * length_s)
            follows = latest == (session, slot - 1)
            start_s = previous_end_s if follows else max(previous_end_s, end_s - length_s)
            window = start_s, max(end_s, start_s)
        self._windows[key] = window
        self._latest = max(key, latest) if latest else key
        while len(self._windows) > KEPT:
            del self._windows[min(self._windows)]
        return window
