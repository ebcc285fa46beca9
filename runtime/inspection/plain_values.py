"""Values of a few known kinds as JSON and back: what is folded from logs, kept beside them.

Only kinds that are named here come back, so that a file from elsewhere makes nothing but values.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

_PLAIN = (str, int, float, bool, type(None))


def to_json(value: Any) -> Any:  # noqa: ANN401 - any of the kinds
    """Give a value as JSON holds it; what JSON has no form for, as an object with its kind.

    Raises:
        TypeError: it is of a kind that is not known here.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return value if all(isinstance(each, _PLAIN) for each in value) else [to_json(each) for each in value]
    kind = type(value).__name__
    if isinstance(value, Decimal):
        return {"kind": kind, "of": str(value)}
    if isinstance(value, defaultdict):
        made = value.default_factory
        name = made.__name__ if isinstance(made, type) else ""
        return {"kind": kind, "by": name, "of": _pairs(value)}
    if isinstance(value, dict):  # a counter too
        return {"kind": kind, "of": _pairs(value)}
    if isinstance(value, deque):
        return {"kind": kind, "by": value.maxlen, "of": [to_json(each) for each in value]}
    if isinstance(value, tuple | set | frozenset):
        return {"kind": kind, "of": [to_json(each) for each in value]}
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
        return {"kind": "object", "by": kind, "of": named}
    raise TypeError(f"found a {kind}, expected a value of a known kind")


def from_json(value: Any, classes: Iterable[type]) -> Any:  # noqa: ANN401 - any of the kinds
    """Make a value again.

    Args:
        value: as ``to_json`` gave it.
        classes: data classes that may be made.

    Raises:
        LookupError: it is of a kind, or a class, that is not among those that may be made.
        TypeError: a class has other fields by now.
        ValueError: a number cannot be read.
    """
    return _Maker({each.__name__: each for each in classes}).make(value)


def _pairs(value: dict[Any, Any]) -> list[list[Any]]:
    return [[to_json(key), to_json(each)] for key, each in value.items()]


class _Maker:
    def __init__(self, classes: dict[str, type]) -> None:
        self._classes = classes

    def make(self, value: Any) -> Any:  # noqa: ANN401 - any of the kinds
        if isinstance(value, list):
            return value if all(isinstance(each, _PLAIN) for each in value) else [*map(self.make, value)]
        if not isinstance(value, dict):
            return value
        content: Any = value["of"]
        by: Any = value.get("by")
        match value["kind"]:
            case "Decimal":
                try:
                    return Decimal(content)
                except ArithmeticError as error:
                    raise ValueError(f"found {content!r}, expected a decimal") from error
            case "dict":
                return self._mapping(content)
            case "Counter":
                return Counter(self._mapping(content))
            case "defaultdict":
                return defaultdict(self._classes[by], self._mapping(content))
            case "deque":
                return deque(map(self.make, content), maxlen=by)
            case "tuple":
                return tuple(map(self.make, content))
            case "set":
                return set(map(self.make, content))
            case "frozenset":
                return frozenset(map(self.make, content))
            case "object":
                return self._object(self._classes[by], content)
            case kind:
                raise LookupError(f"found a {kind}, expected a known kind")

    def _mapping(self, pairs: list[list[Any]]) -> dict[Any, Any]:
        return {self.make(key): self.make(each) for key, each in pairs}

    def _object(self, kind: type, named: dict[str, Any]) -> Any:  # noqa: ANN401 - any of the classes
        if named.keys() != {field.name for field in fields(kind)}:
            raise TypeError(f"{kind.__name__}: found fields {', '.join(named)}, expected others")
        made: Any = object.__new__(kind)
        for name, each in named.items():
            object.__setattr__(made, name, self.make(each))
        return made
