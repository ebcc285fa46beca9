"""Which market mechanisms are installed: each is an entry point of the group ``peerwatt.mechanisms``.

A scenario is checked against them before anything starts; the coordinator makes its sessions with them.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ValidationError

from runtime.errors import InputError

GROUP = "peerwatt.mechanisms"
"""Group of entry points; each names a class derived from ``coordinator.mechanisms.Mechanism``."""


class MechanismKind(Protocol):
    """What is needed of a mechanism's class to check a scenario."""

    parameters_model: ClassVar[type[BaseModel]]
    two_communities: ClassVar[bool]


def mechanism_names() -> list[str]:
    """Names that a scenario may give."""
    return sorted(point.name for point in entry_points(group=GROUP))


def check_mechanism(name: str, parameters: dict[str, Any], source: str) -> None:
    """Check what a scenario says of its mechanism.

    Raises:
        InputError: as ``load_mechanism`` and ``check_parameters``, naming ``source``.
    """
    try:
        check_parameters(name, load_mechanism(name), parameters)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def load_mechanism(name: str) -> Any:  # noqa: ANN401 - a class that this package does not import
    """Class of a mechanism.

    Raises:
        InputError: no mechanism of this name is installed, or what is cannot be imported or is none.
    """
    for point in entry_points(group=GROUP, name=name):
        try:
            kind = point.load()
        except Exception as error:  # whatever a package from elsewhere does when it is imported
            raise InputError(
                f"mechanism.name: {name!r} is {point.value}, which cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not (isinstance(kind, type) and hasattr(kind, "parameters_model") and hasattr(kind, "respond")):
            raise InputError(
                f"mechanism.name: {name!r} is {point.value}, expected a class derived from "
                "coordinator.mechanisms.Mechanism"
            )
        return kind
    known = ", ".join(mechanism_names()) or "none is installed"
    raise InputError(f"mechanism.name: found {name!r}, expected one of: {known}")


def has_two_communities(name: str) -> bool:
    """Whether a mechanism has members in two communities, each with a coordinator of its own.

    Raises:
        InputError: no mechanism of this name is installed.
    """
    return bool(load_mechanism(name).two_communities)


def check_parameters(name: str, kind: type[MechanismKind], parameters: dict[str, Any]) -> BaseModel:
    """Check what a scenario sets for a mechanism.

    Raises:
        InputError: a parameter is unknown or out of bounds; the message names it.
    """
    try:
        return kind.parameters_model.model_validate(parameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        known = ", ".join(kind.parameters_model.model_fields) or "none"
        reason = "unknown parameter" if first["type"] == "extra_forbidden" else first["msg"]
        raise InputError(
            f"mechanism.{field}: {reason}, found {first.get('input')!r} ({name} takes: {known})"
        ) from error
