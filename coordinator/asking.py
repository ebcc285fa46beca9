"""Whom the market waits for, and with which message it asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.configuration import Timing
from runtime.protocol.bodies import AnyBody
from runtime.protocol.envelope import OPERATION, Envelope, Performative
from runtime.protocol.machine import Machine, Withdraw


class Asked:
    """What members are asked in a round, slot or phase; it speaks through the coordinator's machine.

    Attributes:
        waiting: by member, id of the message whose answer is waited for.
    """

    def __init__(self, machine: Machine, timing: Timing, domain: str) -> None:
        """Set up for members with accounts at ``domain``."""
        self.waiting: dict[str, str] = {}
        self._machine = machine
        self._timing = timing
        self._domain = domain

    def ask(
        self,
        session: int,
        performative: Performative,
        bodies: Mapping[str, AnyBody],
        protocol: str,
        deadline_s: float | None = None,
    ) -> None:
        """Ask each member, and wait for these answers alone.

        Args:
            session: number of the market session.
            performative: of the messages.
            bodies: what each member is asked.
            protocol: of the messages.
            deadline_s: until when an answer is in time; the usual deadline of the protocol if None.
        """
        if deadline_s is None:
            is_slot = protocol == OPERATION
            deadline_s = self._timing.delivery_deadline_s if is_slot else self._timing.round_deadline_s
        self.waiting = {
            member: self._machine.send(
                f"{member}@{self._domain}",
                performative,
                body,
                protocol=protocol,
                conversation=f"session-{session}",
                expects_reply=True,
                reply_within_s=deadline_s,
            )
            for member, body in bodies.items()
        }

    def answered_by(self, member: str, envelope: Envelope) -> bool:
        """Whether a member's message answers what it was asked."""
        return envelope.in_reply_to is not None and self.waiting.get(member) == envelope.in_reply_to

    def withdraw(self, members: Iterable[str]) -> None:
        """Stop repeating what members were asked: their answers would come too late."""
        for member in members:
            self._machine.do(Withdraw(self.waiting[member]))
