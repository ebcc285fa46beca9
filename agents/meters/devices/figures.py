"""What MQTT and HTTP sources have in common: a figure in JSON, chosen by preset or path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from agents.meters.devices.json_path import (
    JsonValueError,
    instant_at,
    number_at,
    parse_document,
    parse_path,
    value_at,
)
from agents.meters.devices.presets import Preset
from agents.meters.energy import Integration, Kind
from agents.meters.live import LiveParameters, Sink
from agents.meters.source import SIGNED_ROLES, SourceUrl
from runtime.device_units import ConventionError, power_or_register
from runtime.errors import InputError


class FigureParameters(LiveParameters):
    """Parameters of sources that find a figure in JSON.

    Attributes:
        preset: kind of device, instead of ``path`` and ``unit``; both may still be given and then count.
        n: channel of the device.
        path: where the figure is in a JSON document; the whole payload if empty.
        reverse_path: where that of the other way is, for the roles ``net`` (then ``path`` is of energy taken)
            and ``battery`` (then it is of energy discharged).
        unit: of the figure; W, kW, MW: power; Wh, kWh, MWh, Ws, Wmin: a register.
        unit_path: where the document says the unit; one that differs from ``unit`` is converted.
        time: where the document says the instant; without it, that of its coming counts.
        kind: ``power`` or ``register``, if it is to be checked against the unit.
        negate: whether the device counts the other way around.
    """

    preset: str | None = None
    n: int = Field(default=0, ge=0, le=99)
    path: str | None = None
    reverse_path: str | None = None
    unit: str | None = None
    unit_path: str | None = None
    time: str | None = None
    kind: Kind | None = None
    negate: bool = False

    @property
    def tells_both(self) -> bool:
        """See ``LiveParameters``."""
        return self.reverse_path is not None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure to be found in documents.

    Attributes:
        place: where documents come from, by the preset; None without one.
        path: JSON path of the figure.
        unit: of the figure.
        kind: what the figure is.
        integration: how a power becomes energy.
        unit_path: JSON path of the unit, or None.
        time_path: JSON path of the instant, or None.
        sign: 1, or -1 for a device that counts the other way around.
        reverse_path: JSON path of the figure of the other way, or None.
    """

    place: str | None
    path: str
    unit: str
    kind: Kind
    integration: Integration
    unit_path: str | None
    time_path: str | None
    sign: int
    reverse_path: str | None = None

    def tell(self, sink: Sink, body: bytes | str) -> None:
        """Find the figure in a document and tell it; what is no figure is refused."""
        try:
            document = parse_document(body)
            value = self.sign * number_at(document, self.path)
            reverse = None if self.reverse_path is None else number_at(document, self.reverse_path)
            unit = self.unit if self.unit_path is None else str(value_at(document, self.unit_path))
            instant = None if self.time_path is None else instant_at(document, self.time_path)
        except JsonValueError as error:
            sink.refuse(str(error))
            return
        sink.take(value, unit, instant)
        if reverse is not None:
            sink.take(reverse, unit, instant, reverse=True)


def figure_of(url: SourceUrl, given: FigureParameters, presets: Mapping[str, Preset], device: str) -> Figure:
    """The figure that parameters ask for.

    Raises:
        InputError: no such preset, no unit, or one that is none or does not fit the kind.
    """
    preset = None
    if given.preset is not None:
        if given.preset not in presets:
            known = ", ".join(presets)
            raise InputError(f"source {url.text!r}: preset: found {given.preset!r}, expected one of {known}")
        preset = presets[given.preset]
    unit = given.unit or (preset.unit if preset else None)
    if unit is None:
        raise InputError(f"source {url.text!r}: unit: found none, expected W, Wh, kWh, … or a preset")
    path = given.path if given.path is not None else (preset.path if preset else "")
    try:
        kind, _ = power_or_register(0.0, unit)
        path = path.replace("{n}", str(given.n))
        if given.reverse_path is not None and given.role not in SIGNED_ROLES:
            raise InputError(f"source {url.text!r}: reverse_path goes with role=net or battery")
        for each in (path, given.reverse_path or "", given.unit_path or "", given.time or ""):
            parse_path(each)
    except (ConventionError, JsonValueError) as error:
        raise InputError(f"source {url.text!r}: {error}") from error
    if given.kind not in (None, kind):
        raise InputError(f"source {url.text!r}: kind: found {given.kind!r}, but {unit} is a {kind}")
    place = None
    if preset is not None:
        place = preset.place.replace("{n}", str(given.n)).replace("{device}", device)
    return Figure(
        place,
        path,
        unit,
        kind,
        preset.integration if preset else "trapezoid",
        given.unit_path,
        given.time,
        -1 if given.negate else 1,
        given.reverse_path,
    )
