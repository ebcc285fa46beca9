"""Where a meter's readings come from: the interface of a source, and how a URL names one.

A source is named by a URL whose scheme says its kind. ``simulated:``, ``csv:`` and ``pipe:`` are built in;
all others, of this project or of a package of yours, are entry points of the group
``peerwatt.meter_sources``, named by the scheme, that give an ``OpenSource``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeVar, runtime_checkable
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.meters.energy import SlotEnergy
from runtime.configuration import ClockConfig, MeterConfig, MeterRole
from runtime.errors import InputError, PeerwattError
from runtime.horizon import Horizon

ENTRY_POINTS = "peerwatt.meter_sources"
"""Group of entry points by which packages add sources."""

BUILT_IN = {
    "simulated": "agents.meters.simulated",
    "csv": "agents.meters.csv_replay",
    "pipe": "agents.meters.devices.pipe",
}
"""Module of each built-in source, by scheme; its ``open_source`` is an ``OpenSource``."""


class ReadingError(PeerwattError):
    """A source has no reading of a slot; the prosumer is told why and estimates."""


SIGNED_ROLES: frozenset[MeterRole] = frozenset({"net", "battery"})
"""Roles whose energy goes either way: import > 0, discharge > 0."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a source knows by now of a slot that it could not tell, or not for sure, when it was read.

    Attributes:
        session: market session, from 0.
        slot: slot of the session.
        role: what was measured.
        energy: as it is known now.
    """

    session: int
    slot: int
    role: MeterRole
    energy: SlotEnergy


class MeterSource(Protocol):
    """What a meter reads.

    Attributes:
        roles: what it can measure.
        immediate: whether ``read`` returns at once; if not, it is called off the event loop.
    """

    @property
    def roles(self) -> frozenset[MeterRole]:
        """What it can measure."""

    @property
    def immediate(self) -> bool:
        """Whether ``read`` returns at once, from memory."""

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> float | SlotEnergy:
        """Energy measured in a slot [kWh], and how good it is; a mere number is metered.

        Not below zero, but for ``SIGNED_ROLES``.

        May be asked again for a slot it has read, also one long passed: by a meter that is restarted.

        Args:
            session: market session, from 0.
            slot: slot of the session.
            horizon: the session's slots.
            role: what is measured, one of ``roles``.

        Raises:
            ReadingError: there is no reading.
        """


@runtime_checkable
class RevisingSource(Protocol):
    """A source that may know more of a slot later, besides being a ``MeterSource``."""

    def revisions(self) -> list[Revision]:
        """What became known since this was asked last; each change is told once."""


@runtime_checkable
class BackgroundSource(Protocol):
    """A source that goes on by itself, besides being a ``MeterSource``."""

    def start(
        self, clock: ClockConfig, listener: Callable[[Any, dict[str, Any]], None] | None = None
    ) -> None:
        """Begin; called once, with the event loop running.

        Args:
            clock: the community's clock.
            listener: told what happens, by name and detail.

        Raises:
            InputError: it cannot serve a community with this clock.
        """

    async def close(self) -> None:
        """End."""


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """A source's name in its parts: ``scheme:path?parameters``.

    Attributes:
        text: as written.
        scheme: what kind of source.
        path: what follows, percent-decoded; empty if nothing.
        parameters: names and values, decoded as in web addresses (``+`` is a space, ``%2B`` a plus sign).
    """

    text: str
    scheme: str
    path: str
    parameters: dict[str, str]


class Parameters(BaseModel):
    """Base of a source's parameters: nothing unknown, nothing infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


OpenSource = Callable[[SourceUrl, MeterConfig], MeterSource]
"""Opens a source for a member's meter; raises ``InputError`` if it cannot be what is asked for."""

AnyParameters = TypeVar("AnyParameters", bound=Parameters)


def parse_source_url(text: str) -> SourceUrl:
    """Take a source's URL apart.

    Raises:
        InputError: no scheme, or parameters that are no ``name=value`` or are there twice.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not scheme:
        raise InputError(
            f"source {text!r}: expected a URL such as simulated: or csv:FILE?load=COLUMN&unit=kWh"
        )
    path, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise InputError(f"source {text!r}: expected name=value&name=value after '?': {error}") from error
    parameters = dict(pairs)
    for name in parameters:
        if sum(name == other for other, _ in pairs) > 1:
            raise InputError(f"source {text!r}: found {name!r} twice, expected it once")
    return SourceUrl(text, scheme.lower(), unquote(path), parameters)


def parameters_of(url: SourceUrl, model: type[AnyParameters]) -> AnyParameters:
    """Check a source's parameters.

    Raises:
        InputError: one is missing, unknown or out of range; the message names it and what there is.
    """
    try:
        return model.model_validate(url.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "parameters"
        known = ", ".join(model.model_fields) or "none"
        match first["type"]:
            case "extra_forbidden":
                found = "found a parameter that this source does not have"
            case "missing":
                found = "found none, expected a value"
            case _:
                found = f"{first['msg']}, found {first['input']!r:.80}"
        raise InputError(f"source {url.text!r}: {name}: {found} (it has: {known})") from error


def open_source(text: str, meter: MeterConfig) -> MeterSource:
    """Open the source a URL names, for a member's meter.

    Raises:
        InputError: no such kind of source, or it cannot be opened.
    """
    url = parse_source_url(text)
    return _opener(url)(url, meter)


def roles_to_measure(
    source: MeterSource, text: str, meter: MeterConfig, wanted: Iterable[str] = ()
) -> list[MeterRole]:
    """What a meter with this source measures, in the order of the member's roles.

    Args:
        source: the source.
        text: its URL, for errors.
        meter: the member's meter.
        wanted: what is asked for; all that both source and member have if empty.

    Raises:
        InputError: something wanted that source or member do not have, or nothing to measure.
    """
    asked = list(wanted)
    measurable = meter.measurable
    has, offers = " and ".join(measurable) or "nothing", " and ".join(sorted(source.roles)) or "nothing"
    for role in asked:
        if role not in measurable:
            raise InputError(f"role {role!r}: {meter.member} has {has} to be metered")
        if role not in source.roles:
            raise InputError(f"role {role!r}: source {text!r} measures {offers}")
    usual = [role for role in meter.roles if role in source.roles]
    possible = [role for role in measurable if role in source.roles]
    if not asked and not source.roles & {"load", "pv"}:  # made for the grid's connection or a battery
        usual = possible
    roles = [role for role in possible if role in asked] if asked else usual
    if not roles:
        raise InputError(f"source {text!r}: measures {offers}, but {meter.member} has {has} to be metered")
    return roles


def _opener(url: SourceUrl) -> OpenSource:
    if url.scheme in BUILT_IN:
        try:
            built_in: OpenSource = import_module(BUILT_IN[url.scheme]).open_source
        except ModuleNotFoundError as error:
            raise InputError(f"source {url.text!r}: needs all of Peerwatt: pip install peerwatt") from error
        return built_in
    from importlib.metadata import entry_points  # a megabyte that built-in sources do without

    installed = entry_points(group=ENTRY_POINTS)
    for entry in installed:
        if entry.name == url.scheme:
            try:
                added: OpenSource = entry.load()
            except ModuleNotFoundError as error:
                raise InputError(
                    f"source {url.text!r}: needs the library {error.name}: pip install 'peerwatt[meters]'"
                ) from error
            return added
    known = ", ".join(f"{name}:" for name in sorted({*BUILT_IN, *installed.names}))
    raise InputError(f"source {url.text!r}: found the kind {url.scheme!r}, expected one of {known}")
