"""Energy above the connection limit, charged to who goes beyond what it may have (``coordinator.excess``)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from coordinator.settlement.exact import energy_steps
from coordinator.settlement.rationing import ration


def excess_beyond(
    net: Mapping[str, int],
    free: Mapping[str, int],
    import_limit_kwh: Decimal | None,
    export_limit_kwh: Decimal | None,
) -> dict[str, int]:
    """Each member's part of the energy above the limit, in whole steps that add up to it.

    In proportion to what members have beyond ``free``; what that does not cover, by what they take (give).

    Args:
        net: metered net energies in steps, import > 0.
        free: what is free of charge, likewise.
        import_limit_kwh: what the connection takes; None for no limit.
        export_limit_kwh: what it gives; None for no limit.
    """
    whole = sum(net.values())
    for sign, limit_kwh in ((1, import_limit_kwh), (-1, export_limit_kwh)):
        if limit_kwh is None or (above := sign * whole - energy_steps(limit_kwh)) <= 0:
            continue
        beyond = {member: max(0, sign * (energy - free[member])) for member, energy in net.items()}
        first = ration(beyond, min(above, sum(beyond.values())))
        side = {member: max(0, sign * energy) for member, energy in net.items()}
        rest = ration(side, above - sum(first.values()))
        return {member: first[member] + rest[member] for member in net}
    return {}
