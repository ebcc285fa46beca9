"""Energy above the connection limit, charged to who goes beyond what it may have (``coordinator.excess``)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from coordinator.settlement.exact import energy_steps
from coordinator.settlement.rationing import ration


def excess_beyond(
    net_steps: Mapping[str, int],
    free_steps: Mapping[str, int],
    import_limit_kwh: Decimal | None,
    export_limit_kwh: Decimal | None,
) -> dict[str, int]:
    """Each member's part of the energy above the limit, in whole steps that add up to it.

    In proportion to what members have beyond ``free``; what that does not cover, by what they take (give).

    Args:
        net_steps: metered net energies in steps of ``ENERGY_STEP_KWH``, import > 0.
        free_steps: what is free of charge, likewise.
        import_limit_kwh: what the connection takes; None for no limit.
        export_limit_kwh: what it gives; None for no limit.
    """
    whole = sum(net_steps.values())
    for sign, limit_kwh in ((1, import_limit_kwh), (-1, export_limit_kwh)):
        if limit_kwh is None or (above := sign * whole - energy_steps(limit_kwh)) <= 0:
            continue
        beyond = {
            member: max(0, sign * (energy - free_steps[member])) for member, energy in net_steps.items()
        }
        first = ration(beyond, min(above, sum(beyond.values())))
        side = {member: max(0, sign * energy) for member, energy in net_steps.items()}
        rest = ration(side, above - sum(first.values()))
        return {member: first[member] + rest[member] for member in net_steps}
    return {}
