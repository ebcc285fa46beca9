"""Which meter of a member reads what, and the readings of a slot as they come in."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.protocol.bodies import Reading, Role
from runtime.protocol.envelope import Envelope
from runtime.rundir import attached_meter_account, meter_account

MISSES_OF_ATTACHED_METER = 3
"""After so many slots in a row without a reading an attached meter is taken for gone."""


@dataclass
class SlotReadings:
    """A slot whose readings are being gathered.

    Attributes:
        slot: the slot.
        request: the coordinator's request for its delivery.
        asked: by meter, the id of the request to it.
        asked_roles: by meter, what it was asked for.
        readings_kwh: what was read.
        meters: who read it.
        without: meters that say that they have no reading.
        bridged: whether a meter had to bridge a gap.
    """

    slot: int
    request: Envelope
    asked: dict[str, str] = field(default_factory=dict)
    asked_roles: dict[str, list[Role]] = field(default_factory=dict)
    readings_kwh: dict[Role, float] = field(default_factory=dict)
    meters: dict[Role, str] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    bridged: bool = False

    def take(self, sender: str, reading: Reading) -> None:
        """Take a meter's reading of this slot.

        Raises:
            ProtocolError: it was not asked for this.
        """
        for role in reading.energies_kwh:
            if role not in self.asked_roles.get(sender, ()):
                raise ProtocolError(f"{sender} was not asked for {role} of slot {reading.slot}")
        for role, energy_kwh in reading.energies_kwh.items():
            self.readings_kwh[role], self.meters[role] = energy_kwh, sender
        self.bridged |= reading.quality == "estimated"

    @property
    def settled(self) -> bool:
        """Whether everything was read, or its meter said that there is no reading."""
        return all(
            meter in self.without or set(roles) <= set(self.readings_kwh)
            for meter, roles in self.asked_roles.items()
        )


class OwnMeters:
    """The meters of a member: its own, and one that may be attached and then reads in its stead.

    Attributes:
        own: JID of the member's own meter.
        attached: JID of the meter that may be attached.
        reader_of: who reads what at present.
    """

    def __init__(self, config: MemberConfig, domain: str) -> None:
        """Begin with the member's own meter for everything."""
        self.own = f"{meter_account(config.name)}@{domain}"
        self.attached = f"{attached_meter_account(config.name)}@{domain}"
        self.reader_of: dict[Role, str] = dict.fromkeys(config.roles, self.own)
        self._member = config.name
        self._roles = config.roles
        self._missed_in_a_row = 0

    @property
    def all(self) -> list[str]:
        """All that are to be told when metering has ended; none for a member without anything metered."""
        return sorted({self.own, *self.reader_of.values()}) if self._roles else []

    def attach(self, sender: str, roles: list[Role]) -> None:
        """Have the attached meter read some roles.

        Raises:
            ProtocolError: it is not the one that may be, or the member has nothing of this to be read.
        """
        if sender != self.attached:
            raise ProtocolError("the member's own meter needs no attaching")
        foreign = sorted(set(roles) - set(self._roles))
        if foreign:
            raise ProtocolError(f"{self._member} has no {' and no '.join(foreign)} to be metered")
        self.detach()
        self.reader_of.update(dict.fromkeys(roles, sender))
        self._missed_in_a_row = 0

    def detach(self) -> None:
        """Have the member's own meter read everything again."""
        self.reader_of = dict.fromkeys(self._roles, self.own)

    def heard(self, sender: str) -> None:
        """Note that a meter read what it was asked for."""
        if sender == self.attached:
            self._missed_in_a_row = 0

    def missed(self, slot: SlotReadings) -> int:
        """Note the readings that did not come; go back to the own meter once an attached one is silent.

        Returns:
            After how many missed slots the attached meter was given up; 0 if it was not.
        """
        asked = slot.asked_roles.get(self.attached)
        if asked is None or all(role in slot.readings_kwh for role in asked):
            return 0
        self._missed_in_a_row += 1
        if self._missed_in_a_row < MISSES_OF_ATTACHED_METER:
            return 0
        self.detach()
        return self._missed_in_a_row
