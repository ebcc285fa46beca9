"""Limits of what is written to a battery: pure functions of powers, discharge > 0, charge < 0."""

from __future__ import annotations


def within_limits_kw(power_kw: float, max_charge_kw: float, max_discharge_kw: float) -> float:
    """The power nearest to the wanted one that the limits allow.

    Args:
        power_kw: wanted, discharge > 0 [kW].
        max_charge_kw: greatest power drawn, >= 0 [kW].
        max_discharge_kw: greatest power delivered, >= 0 [kW].
    """
    return min(max(power_kw, -max_charge_kw), max_discharge_kw)


def next_step_kw(last_kw: float, aim_kw: float, max_change_kw: float | None) -> float:
    """What to write next on the way from what was written last to what is aimed at.

    Args:
        last_kw: written last, discharge > 0 [kW].
        aim_kw: aimed at, likewise.
        max_change_kw: greatest change of a single step, > 0 [kW]; None goes there at once.

    Returns:
        The aim itself once it is within a step.
    """
    if max_change_kw is None or abs(aim_kw - last_kw) <= max_change_kw:
        return aim_kw
    return last_kw + (max_change_kw if aim_kw > last_kw else -max_change_kw)
