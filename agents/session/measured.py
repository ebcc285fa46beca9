"""What meters read of one slot: who was asked for what, what was read, what the delivery is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.errors import ProtocolError
from runtime.protocol.bodies import Reading, ReadingCorrection, Role
from runtime.records import Quality


@dataclass
class Measured:
    """What meters read of one slot.

    Attributes:
        asked: the meter of each role that is read.
        energies_kwh: what was read: load, production, import − export, discharge − charge.
        bridged: roles of which a meter had to bridge a gap.
    """

    asked: dict[Role, str] = field(default_factory=dict)
    energies_kwh: dict[Role, float] = field(default_factory=dict)
    bridged: set[Role] = field(default_factory=set)

    def take(self, sender: str, reading: Reading | ReadingCorrection) -> None:
        """Take what a meter says of this slot.

        Raises:
            ProtocolError: it is not this meter's to say.
        """
        energies_kwh = reading.energies_kwh
        for role in energies_kwh:
            if self.asked.get(role) != sender:
                raise ProtocolError(f"{sender} was not asked for {role} of slot {reading.slot}")
        self.energies_kwh.update(energies_kwh)
        estimated = reading.quality == "estimated"
        self.bridged = self.bridged | energies_kwh.keys() if estimated else self.bridged - energies_kwh.keys()

    @property
    def counting(self) -> set[Role]:
        """Roles that the delivery is made of: ``net`` alone where it was read, else all that are read."""
        return {"net"} if "net" in self.energies_kwh else set(self.asked)

    @property
    def quality(self) -> Quality:
        """How the delivery is come by."""
        whole = self.counting <= self.energies_kwh.keys() and not self.counting & self.bridged
        return "metered" if whole else "estimated"

    @property
    def meters(self) -> list[str]:
        """Accounts of the meters that the delivery is from."""
        read = self.counting & self.energies_kwh.keys()
        return sorted({self.asked[role].split("@", 1)[0] for role in read})

    @property
    def readers(self) -> list[str]:
        """Accounts of all meters that read something."""
        return sorted({self.asked[role].split("@", 1)[0] for role in self.energies_kwh})
