"""Which meter of a member reads what, and the readings of a slot as they come in.

A member has a built-in meter, and up to four more may be attached to it, each for one or more roles: ``load``
and ``pv``, ``net`` (the exchange with the grid) and ``battery``. A role that an attached meter reads is not
read by the built-in one; so is the load while an attached meter reads ``net``, as then it is what closes the
balance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from agents.session.measured import Measured
from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.protocol.bodies import Role
from runtime.protocol.envelope import Envelope
from runtime.rundir import meter_accounts

MISSES_OF_ATTACHED_METER = 3
"""After so many slots in a row without a reading an attached meter is taken for gone."""


@dataclass
class SlotReadings:
    """A slot whose readings are being gathered.

    Attributes:
        slot: the slot.
        request: the coordinator's request for its delivery.
        measured: what was read so far.
        asked: by meter, the id of the request to it.
        answered: meters that answered, with all they have.
    """

    slot: int
    request: Envelope
    measured: Measured
    asked: dict[str, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)

    @property
    def settled(self) -> bool:
        """Whether no meter is waited for any more."""
        return self.answered >= self.asked.keys()


class OwnMeters:
    """The meters of a member: its built-in one, and those that are attached and read in its stead.

    Attributes:
        own: JID of the member's built-in meter.
        further: JIDs of the meters that may be attached.
        reader_of: who reads what at present.
    """

    def __init__(self, config: MemberConfig, domain: str) -> None:
        """Begin with the built-in meter for everything."""
        self.own, *self.further = (f"{account}@{domain}" for account in meter_accounts(config.name))
        self.reader_of: dict[Role, str] = dict.fromkeys(config.roles, self.own)
        self._member = config.name
        self._roles = config.roles
        self._attachable: set[Role] = {*config.roles, "net"}
        if config.battery is not None:
            self._attachable.add("battery")
        self._missed_in_a_row: Counter[str] = Counter()

    @property
    def all(self) -> list[str]:
        """All that are to be told when metering has ended; none for a member without anything metered."""
        own = {self.own} if self._roles else set()
        return sorted({*own, *self.reader_of.values()})

    @property
    def asked(self) -> dict[Role, str]:
        """Who is to be asked for what of a slot."""
        attached_net = self.reader_of.get("net", self.own) != self.own
        return {
            role: meter
            for role, meter in self.reader_of.items()
            if not (attached_net and role == "load" and meter == self.own)
        }

    def attach(self, sender: str, roles: list[Role]) -> None:
        """Have a meter read some roles, and no others.

        Raises:
            ProtocolError: it is not one that may be, the member has nothing of this to be read, or another
                attached meter reads it.
        """
        if sender not in self.further:
            raise ProtocolError("the member's own meter needs no attaching")
        foreign = sorted(set(roles) - self._attachable)
        if foreign:
            raise ProtocolError(f"{self._member} has no {' and no '.join(foreign)} to be metered")
        for role in roles:
            reader = self.reader_of.get(role, sender)
            if reader not in (sender, self.own):
                raise ProtocolError(f"{role} of {self._member} is read by {reader.split('@', 1)[0]}")
        self.detach(sender)
        self.reader_of.update(dict.fromkeys(roles, sender))

    def detach(self, sender: str) -> None:
        """Have the built-in meter read again what this one read."""
        self.reader_of = {
            role: self.own if reader == sender else reader
            for role, reader in self.reader_of.items()
            if reader != sender or role in self._roles
        }
        del self._missed_in_a_row[sender]

    def heard(self, sender: str) -> None:
        """Note that a meter answered."""
        del self._missed_in_a_row[sender]

    def missed(self, slot: SlotReadings) -> list[str]:
        """Note which meters did not answer; give up attached ones that are silent.

        Returns:
            The meters given up.
        """
        gone = []
        for meter in slot.asked:
            if meter == self.own or meter in slot.answered or meter not in self.reader_of.values():
                continue
            self._missed_in_a_row[meter] += 1
            if self._missed_in_a_row[meter] >= MISSES_OF_ATTACHED_METER:
                self.detach(meter)
                gone.append(meter)
        return gone
