"""Replies of one device to what all others do: a first schedule, and the polish of a last one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from agents.planning.flexible.devices import Devices, Schedule, net_objectives_eur
from agents.planning.flexible.marginal_curves import net_curves
from agents.planning.tariff import FloatArray

_HALVINGS = 50


def vehicle_reply_kwh(devices: Devices, number: int, other_kwh: FloatArray) -> FloatArray:
    """What a vehicle draws at least cost beside all other energy.

    Exact where the cost of net energy is convex; else at most one slot draws what lies between two kinks.

    Args:
        devices: all devices.
        number: which vehicle.
        other_kwh: net energy without it [kWh per slot], shape (T,).

    Returns:
        Energy drawn [kWh per slot], shape (T,).
    """
    limit = devices.limits_kwh[number]
    needed, most = devices.ranges_kwh[number].tolist()
    curves = net_curves(devices.base, other_kwh, other_kwh + limit)
    idle = curves.load_at(other_kwh, limit, 0.0)
    wanted = min(max(needed, float(idle[0].sum())), most)
    low = float(curves.price_eur_per_kwh.min()) - 1e-6
    high = float(curves.price_eur_per_kwh.max()) + 1e-6
    for _ in range(_HALVINGS):
        value = 0.5 * (low + high)
        least, greatest = curves.load_at(other_kwh, limit, value)
        if least.sum() > wanted:
            high = value
        elif greatest.sum() < wanted:
            low = value
        else:
            break
    else:
        least, greatest = curves.load_at(other_kwh, limit, low)[0], curves.load_at(other_kwh, limit, high)[1]
    # Slots that cost the same fill one after the other, so that only one is left between two kinks.
    room = greatest - least
    before = np.concatenate([[0.0], np.cumsum(room)[:-1]])
    filled: FloatArray = least + np.clip(wanted - float(least.sum()) - before, 0.0, room)
    return filled


def appliance_reply(devices: Devices, number: int, other_kwh: FloatArray) -> int:
    """Start of least cost of an appliance beside all other energy [kWh per slot], shape (T,); exact."""
    net = other_kwh[:, None] + devices.runs_kwh[number].T
    return int(net_objectives_eur(net, devices.base).argmin())


def replied(devices: Devices, schedule: Schedule) -> Schedule:
    """Each appliance and each vehicle once more, in turn, at least cost beside the others."""
    net = devices.net_kwh(schedule)
    starts = list(schedule.starts)
    for number, runs in enumerate(devices.runs_kwh):
        without = net - runs[starts[number]]
        starts[number] = appliance_reply(devices, number, without)
        net = without + runs[starts[number]]
    vehicle = schedule.vehicle_kwh.copy()
    for number in range(len(vehicle)):
        without = net - vehicle[number]
        vehicle[number] = vehicle_reply_kwh(devices, number, without)
        net = without + vehicle[number]
    return replace(schedule, vehicle_kwh=vehicle, starts=tuple(starts))
