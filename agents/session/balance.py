"""What a slot comes to behind a member's meters, from what they read and what is assumed for the rest.

The exchange with the grid is load + flexible loads − production − battery. Where a meter reads it (``net``),
it is the delivery, whatever the others say:

* if no meter reads the load, the load is what closes the balance;
* else what the balance is short of, or has too much, is *unmetered*: drawn or given behind the connection by
  what no meter of the member reads (or by how far its meters disagree).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.protocol.bodies import Role


@dataclass(frozen=True, slots=True)
class Balance:
    """Energies of one slot [kWh].

    Attributes:
        load_kwh: consumption without flexible loads.
        pv_kwh: production.
        battery_kwh: discharge > 0.
        net_kwh: import > 0: load + flexible − production − battery + unmetered.
        unmetered_kwh: drawn > 0 by what no meter reads.
    """

    load_kwh: float
    pv_kwh: float
    battery_kwh: float
    net_kwh: float
    unmetered_kwh: float = 0.0


def balance_of(
    read_kwh: Mapping[Role, float],
    assumed_load_kwh: float,
    assumed_pv_kwh: float,
    assumed_battery_kwh: float,
    flexible_kwh: float = 0.0,
) -> Balance:
    """Put a slot together.

    Args:
        read_kwh: what meters read.
        assumed_load_kwh: the load where neither it nor the exchange with the grid is read.
        assumed_pv_kwh: production where it is not read.
        assumed_battery_kwh: what the battery did where it is not read, discharge > 0.
        flexible_kwh: what vehicles and appliances drew on top of the load, as planned.
    """
    pv_kwh = read_kwh.get("pv", assumed_pv_kwh)
    battery_kwh = read_kwh.get("battery", assumed_battery_kwh)
    load_kwh = read_kwh.get("load", assumed_load_kwh)
    if "net" not in read_kwh:
        return Balance(load_kwh, pv_kwh, battery_kwh, load_kwh - pv_kwh + flexible_kwh - battery_kwh)
    net_kwh = read_kwh["net"]
    if "load" not in read_kwh:
        load_kwh = max(0.0, net_kwh + pv_kwh + battery_kwh - flexible_kwh)
    unmetered_kwh = round(net_kwh - (load_kwh - pv_kwh + flexible_kwh - battery_kwh), 9)
    return Balance(load_kwh, pv_kwh, battery_kwh, net_kwh, unmetered_kwh)
