"""Where set-points go: the interface of a target, and how a URL names one.

A target is named by a URL whose scheme says its kind. ``mqtt:``, ``mqtts:`` and ``modbus:`` are built in; all
others, of a package of yours, are entry points of the group ``peerwatt.setpoint_targets``, named by the
scheme, that give an ``OpenTarget``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol

from agents.meters.source import SourceUrl, parse_source_url
from runtime.errors import InputError, PeerwattError

ENTRY_POINTS = "peerwatt.setpoint_targets"
"""Group of entry points by which packages add targets."""

BUILT_IN = {
    "mqtt": "agents.setpoints.devices.mqtt",
    "mqtts": "agents.setpoints.devices.mqtt",
    "modbus": "agents.setpoints.devices.sunspec_storage",
}
"""Module of each built-in target, by scheme; its ``open_target`` is an ``OpenTarget``."""


class TargetError(PeerwattError):
    """A device cannot be reached or does not do as it was told; it is tried again."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a device is told: a power, or to have control again.

    Attributes:
        member: whose battery it is.
        power_kw: mean power at the building's side, discharge > 0 [kW]; None gives control back.
        valid_s: so long it counts from now on, and a watchdog's margin [s].
        slot_start: UTC instant at which the slot starts, on the community's clock; None with ``power_kw``.
        slot_end: UTC instant at which it ends, likewise.
        stored_kwh: stored energy aimed at for the slot's end [kWh], likewise.
    """

    member: str
    power_kw: float | None
    valid_s: float = 0.0
    slot_start: datetime | None = None
    slot_end: datetime | None = None
    stored_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """What a target did with an order.

    Attributes:
        power_kw: what the device has been told, discharge > 0 [kW]; nearer to zero than the order where
            the device can do no more; None: control is its own.
        wrote: what was written, in the device's own terms.
    """

    power_kw: float | None
    wrote: str


class SetpointTarget(Protocol):
    """A device that takes set-points."""

    def carry_out(self, order: Order, *, dry_run: bool) -> Carried:
        """Give the device an order; it takes as long as it takes, and is called off the event loop.

        Args:
            order: what it is told.
            dry_run: whether nothing is written, only worked out; the device may be read.

        Raises:
            TargetError: the device was not reached, or did not take it.
        """


OpenTarget = Callable[[SourceUrl], SetpointTarget]
"""Opens a target; raises ``InputError`` if it cannot be what is asked for. Nothing is connected yet."""


def open_target(text: str) -> SetpointTarget:
    """Open the target that a URL names.

    Raises:
        InputError: no such kind of target, a library it needs is missing, or address or parameters will not
            do.
    """
    if not text.partition(":")[1]:
        raise InputError(f"target {text!r}: expected a URL such as mqtt://HOST/TOPIC or modbus://HOST/UNIT")
    try:
        url = parse_source_url(text)
        return _opener(url)(url)
    except InputError as error:  # what sources and targets share calls both sources
        words = str(error).replace("this source", "this target")
        raise InputError(f"target {words.removeprefix('source ').removeprefix('target ')}") from error


def _opener(url: SourceUrl) -> OpenTarget:
    try:
        if url.scheme in BUILT_IN:
            built_in: OpenTarget = import_module(BUILT_IN[url.scheme]).open_target
            return built_in
        installed = entry_points(group=ENTRY_POINTS)
        for entry in installed:
            if entry.name == url.scheme:
                added: OpenTarget = entry.load()
                return added
    except ModuleNotFoundError as error:
        raise InputError(
            f"target {url.text!r}: needs the library {error.name}: pip install 'peerwatt[meters]'"
        ) from error
    known = ", ".join(f"{name}:" for name in sorted({*BUILT_IN, *installed.names}))
    raise InputError(f"target {url.text!r}: found the kind {url.scheme!r}, expected one of {known}")
