"""Physics of a battery on arrays (equations 5 to 10) and the rule-based control of the paper.

Time is the first axis throughout: a trajectory has shape (T,), a population of P trajectories (T, P). A
trajectory holds the stored energy W_t at the END of each slot [kWh]; before slot 0 the battery holds
``battery.stored_start_kwh``. Energy at the building's side follows the paper's signs: discharge > 0, charge
< 0.

"Stored change" is W_t − (1−σ) W_{t−1} [kWh], so charge > 0: the energy that enters the cells in slot t,
the negative of equation 8.

Equations 6 and 7 are printed as ``W_NC − W_min − W_max``, which is zero for the paper's own bounds; what they
bound is read as the energy between the SOC bounds, which equation 5 implies already.

Source: Gabriel, Oulhaj and Dupont (2021), equations 5 to 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.devices import Battery

FloatArray = NDArray[np.float64]

# Rounding allowance when asking whether an end state of charge can be reached, as a share of the capacity.
_REACH_TOLERANCE = 1e-12


def retention(battery: Battery) -> float:
    """Share of the stored energy that is left after a slot of rest, 1 − σ (eq. 8)."""
    return 1.0 - battery.self_discharge_per_slot


def charge_limit_kwh(battery: Battery, slot_hours: float) -> float:
    """Most energy drawn in a slot at the building's side [kWh]; ``inf`` without a power limit."""
    return np.inf if battery.charge_limit_kw is None else battery.charge_limit_kw * slot_hours


def discharge_limit_kwh(battery: Battery, slot_hours: float) -> float:
    """Most energy delivered in a slot at the building's side [kWh]; ``inf`` without a power limit."""
    return np.inf if battery.discharge_limit_kw is None else battery.discharge_limit_kw * slot_hours


def stored_change_limits_kwh(battery: Battery, slot_hours: float) -> tuple[float, float]:
    """Least and greatest stored change in a slot, from power limits, efficiencies and SOC bounds.

    Args:
        battery: the battery.
        slot_hours: length of a slot [h].

    Returns:
        ``(least, greatest)`` [kWh], least ≤ 0 ≤ greatest. Both are finite: without a power limit they are
        the largest changes that the SOC bounds leave room for.
    """
    keep = retention(battery)
    least = -min(
        discharge_limit_kwh(battery, slot_hours) / battery.discharge_efficiency,
        max(keep * battery.stored_max_kwh - battery.stored_min_kwh, 0.0),
    )
    greatest = min(
        charge_limit_kwh(battery, slot_hours) * battery.charge_efficiency,
        battery.stored_max_kwh - keep * battery.stored_min_kwh,
    )
    return least, greatest


def previous_stored_energy_kwh(stored_energy_kwh: FloatArray, battery: Battery) -> FloatArray:
    """Stored energy at the start of each slot, shape as given."""
    previous = np.empty_like(stored_energy_kwh)
    previous[0] = battery.stored_start_kwh
    previous[1:] = stored_energy_kwh[:-1]
    return previous


def stored_change_kwh(stored_energy_kwh: ArrayLike, battery: Battery) -> FloatArray:
    """Stored change of each slot (charge > 0), the negative of equation 8.

    Args:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T,) or (T, P).
        battery: the battery.

    Returns:
        Stored change [kWh], shape as given.
    """
    stored = np.asarray(stored_energy_kwh, dtype=np.float64)
    return stored - retention(battery) * previous_stored_energy_kwh(stored, battery)


def building_side_kwh(stored_change: ArrayLike, battery: Battery) -> FloatArray:
    """Battery energy at the building's side for a stored change (eq. 9 and 10).

    Args:
        stored_change: stored change [kWh], charge > 0, any shape.
        battery: the battery.

    Returns:
        Energy at the building's side [kWh], discharge > 0, charge < 0, shape as given.
    """
    change = np.asarray(stored_change, dtype=np.float64)
    # 1/eta_C >= eta_D, so the greater of the two lines is the right one on either side of zero.
    return -np.maximum(change / battery.charge_efficiency, change * battery.discharge_efficiency)


def battery_energy_kwh(stored_energy_kwh: ArrayLike, battery: Battery) -> FloatArray:
    """Battery energy of each slot at the building's side, Pbd_t + Pbc_t (eq. 8 to 10).

    Args:
        stored_energy_kwh: stored energy at the end of each slot [kWh], shape (T,) or (T, P).
        battery: the battery.

    Returns:
        Energy [kWh per slot], discharge > 0, charge < 0, shape as given.
    """
    return building_side_kwh(stored_change_kwh(stored_energy_kwh, battery), battery)


def battery_slot_kwh(stored_before_kwh: float, stored_after_kwh: float, battery: Battery) -> float:
    """Battery energy of one slot at the building's side [kWh], discharge > 0 (eq. 8 to 10)."""
    return float(building_side_kwh(stored_after_kwh - retention(battery) * stored_before_kwh, battery))


def lower_envelope_kwh(battery: Battery, slots: int, slot_hours: float) -> FloatArray:
    """Least stored energy at the end of each slot from which all later bounds can still be met.

    A backward pass: what slot t must hold, less what it can charge, before self-discharge, is what slot t−1
    must hold. It starts from the end SOC, or from SOC_min where the end is free.

    Args:
        battery: the battery.
        slots: number of slots T, at least 1.
        slot_hours: length of a slot [h].

    Returns:
        Lower envelope [kWh], shape (T,), between W_min and W_max.

    Raises:
        InputError: charging at full power from the start cannot keep SOC_min or reach the end SOC.
    """
    if slots < 1:
        raise InputError(f"slots: expected at least 1, found {slots}")
    keep = retention(battery)
    _, greatest = stored_change_limits_kwh(battery, slot_hours)
    floor = battery.stored_min_kwh
    needed = max(floor, (battery.soc_end_min or 0.0) * battery.capacity_kwh)
    backward: list[float] = []
    while len(backward) < slots:
        backward.append(needed)
        needed = (needed - greatest) / keep
        if needed <= floor:  # and so in all earlier slots
            needed = floor
            backward += [floor] * (slots - len(backward))
    envelope = np.array(backward[::-1])
    slack = _REACH_TOLERANCE * battery.capacity_kwh
    if needed > battery.stored_start_kwh + slack or envelope.max() > battery.stored_max_kwh + slack:
        raise InputError(
            f"battery: from soc_start {battery.soc_start} charging at full power for {slots} slots of "
            f"{slot_hours:g} h cannot keep soc_min {battery.soc_min} and reach "
            f"soc_end_min {battery.soc_end_min}; lower them or raise charge_limit_kw"
        )
    reachable: FloatArray = np.minimum(envelope, battery.stored_max_kwh)
    return reachable


def clip_trajectories(
    wanted_kwh: ArrayLike, battery: Battery, slot_hours: float, lower_kwh: FloatArray
) -> FloatArray:
    """Nearest feasible trajectories, slot by slot forward: bounds first, then power limits.

    Args:
        wanted_kwh: wanted stored energy at the end of each slot [kWh], shape (T,) or (T, P).
        battery: the battery.
        slot_hours: length of a slot [h].
        lower_kwh: lower envelope [kWh], shape (T,), from :func:`lower_envelope_kwh`.

    Returns:
        Feasible stored energy [kWh], shape as given: SOC bounds, power limits and end SOC hold.
    """
    wanted = np.array(wanted_kwh, dtype=np.float64)
    envelope = lower_kwh if wanted.ndim == 1 else lower_kwh[:, None]
    np.clip(wanted, envelope, battery.stored_max_kwh, out=wanted)
    keep = retention(battery)
    least, greatest = stored_change_limits_kwh(battery, slot_hours)
    if wanted.ndim == 1:
        stored = battery.stored_start_kwh
        row = []
        for value in wanted.tolist():
            kept = keep * stored
            stored = value
            if value > kept + greatest:
                stored = kept + greatest
            elif value < kept + least:
                stored = kept + least
            row.append(stored)
        return np.array(row)
    before, limit = np.full(wanted.shape[1], battery.stored_start_kwh), np.empty(wanted.shape[1])
    left = np.empty_like(before)
    for now in wanted:
        np.multiply(before, keep, out=left)
        np.maximum(now, np.add(left, least, out=limit), out=now)
        np.minimum(now, np.add(left, greatest, out=limit), out=now)
        before = now
    return wanted


def follow_step(
    stored_kwh: float, wanted_kwh: float, battery: Battery, slot_hours: float, lower_kwh: float
) -> float:
    """Stored energy at the end of a slot, as near to the wanted as the battery can.

    Args:
        stored_kwh: stored energy now, at the start of the slot [kWh].
        wanted_kwh: stored energy wanted at the end of the slot, for instance the plan's [kWh].
        battery: the battery (``soc_start`` is not used).
        slot_hours: length of a slot [h].
        lower_kwh: lower envelope at the end of this slot [kWh].

    Returns:
        Stored energy at the end of the slot [kWh]. Power limits always hold; the envelope holds whenever it
        can be reached from ``stored_kwh``.
    """
    limits = stored_change_limits_kwh(battery, slot_hours)
    return _nearest(retention(battery) * stored_kwh, wanted_kwh, lower_kwh, battery.stored_max_kwh, *limits)


def rule_step(
    stored_kwh: float, residual_load_kwh: float, battery: Battery, slot_hours: float, lower_kwh: float
) -> float:
    """Stored energy at the end of a slot under the paper's rule.

    A surplus charges the battery before it is exported, a deficit discharges it before it is imported. The
    battery charges from the grid only where self-discharge or the end SOC leave no other way.

    Args:
        stored_kwh: stored energy now, at the start of the slot [kWh].
        residual_load_kwh: load − PV of this slot [kWh], forecast or metered.
        battery: the battery (``soc_start`` is not used).
        slot_hours: length of a slot [h].
        lower_kwh: lower envelope at the end of this slot [kWh].

    Returns:
        Stored energy at the end of the slot [kWh].
    """
    wanted = retention(battery) * stored_kwh + float(_rule_change_kwh(residual_load_kwh, battery))
    return follow_step(stored_kwh, wanted, battery, slot_hours, lower_kwh)


def rule_trajectory(residual_load_kwh: ArrayLike, battery: Battery, slot_hours: float) -> FloatArray:
    """Stored energy at the end of each slot under the paper's rule (see :func:`rule_step`).

    Args:
        residual_load_kwh: load − PV [kWh per slot], shape (T,).
        battery: the battery.
        slot_hours: length of a slot [h].

    Returns:
        Stored energy [kWh], shape (T,).

    Raises:
        InputError: the end SOC cannot be reached.
    """
    residual = np.asarray(residual_load_kwh, dtype=np.float64)
    envelope = lower_envelope_kwh(battery, residual.size, slot_hours)
    keep, stored, upper = retention(battery), battery.stored_start_kwh, battery.stored_max_kwh
    least, greatest = stored_change_limits_kwh(battery, slot_hours)
    trajectory = []
    changes = _rule_change_kwh(residual, battery)
    for change, lower in zip(changes.tolist(), envelope.tolist(), strict=True):
        left = keep * stored
        stored = _nearest(left, left + change, lower, upper, least, greatest)
        trajectory.append(stored)
    return np.array(trajectory)


def idle_trajectory(battery: Battery, slots: int, slot_hours: float) -> FloatArray:
    """Stored energy at the end of each slot of a battery left alone.

    It loses what self-discharge takes, and charges only what SOC_min and the end SOC require.

    Args:
        battery: the battery.
        slots: number of slots T.
        slot_hours: length of a slot [h].

    Returns:
        Stored energy [kWh], shape (T,).

    Raises:
        InputError: the end SOC cannot be reached.
    """
    return rule_trajectory(np.zeros(slots), battery, slot_hours)


def _rule_change_kwh(residual_load_kwh: ArrayLike, battery: Battery) -> FloatArray:
    """Stored change that the rule wants [kWh], shape as given."""
    surplus = -np.asarray(residual_load_kwh, dtype=np.float64)
    # A surplus stores eta_C of itself, a deficit takes 1/eta_D: the lesser line is right on either side of 0.
    change: FloatArray = np.minimum(
        surplus * battery.charge_efficiency, surplus / battery.discharge_efficiency
    )
    return change


def _nearest(
    left_kwh: float,
    wanted_kwh: float,
    lower_kwh: float,
    upper_kwh: float,
    least_kwh: float,
    greatest_kwh: float,
) -> float:
    """Nearest to the wanted that the bounds allow, and then the limits of the change from what is left."""
    bounded = min(max(wanted_kwh, lower_kwh), upper_kwh)
    return min(max(bounded, left_kwh + least_kwh), left_kwh + greatest_kwh)
