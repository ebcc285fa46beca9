"""From a TOML file to a checked scenario, and from pydantic's errors to messages a person can use."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runtime.configuration import ClockConfig, Timing
from runtime.conventions import ENERGY_UNITS, INTENSITY_UNITS, IRRADIANCE_UNITS, PRICE_UNITS
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.preferences import BatteryAgeing, PlanningWishes, Preference, TradePreferences
from runtime.scenario.flexible import ApplianceTable, VehicleTable
from runtime.scenario.grid import GridTable
from runtime.scenario.model import (
    Community,
    ForecastTable,
    HistoryTable,
    Member,
    MeterTable,
    Scenario,
)
from runtime.scenario.photovoltaics import PvTable
from runtime.scenario.series import SERIES_BY_TAG
from runtime.scenario.tariff import PriceWindow, Tariff
from runtime.scenario.when import HorizonSection
from runtime.setpoints import SetpointTable

BUILTIN = Path(__file__).with_name("builtin")
"""Folder of the scenarios that come with the software."""

_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Scenario,
    ("community",): Community,
    ("horizon",): HorizonSection,
    ("tariff",): Tariff,
    ("tariff", "import"): PriceWindow,
    ("tariff", "export"): PriceWindow,
    ("grid",): GridTable,
    ("clock",): ClockConfig,
    ("timing",): Timing,
    ("forecast",): ForecastTable,
    ("forecast", "history"): HistoryTable,
    ("member",): Member,
    ("member", "pv"): PvTable,
    ("member", "battery"): Battery,
    ("member", "vehicle"): VehicleTable,
    ("member", "appliance"): ApplianceTable,
    ("member", "meter"): MeterTable,
    ("member", "setpoint"): SetpointTable,
    ("member", "planning"): PlanningWishes,
    ("member", "planning", "preference"): Preference,
    ("member", "planning", "ageing"): BatteryAgeing,
    ("member", "preferences"): TradePreferences,
    ("member", "forecast"): ForecastTable,
    ("member", "forecast", "history"): HistoryTable,
}

_MOST_SHOWN = 8


def builtin_names() -> list[str]:
    """Names of the scenarios that come with the software."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


def find_scenario(scenario: str | Path) -> Path:
    """Path of a scenario file, or of a built-in scenario by its name.

    Raises:
        InputError: neither a file nor a built-in name.
    """
    path = Path(scenario)
    if path.is_file():
        return path
    if str(scenario) in builtin_names():
        return BUILTIN / f"{scenario}.toml"
    if path.is_dir():
        raise InputError(f"{path}: found a folder, expected a scenario file")
    near = difflib.get_close_matches(str(scenario), builtin_names(), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(
        f"{path}: no such file{hint}; expected a scenario in TOML or one of: {', '.join(builtin_names())}"
    )


def load_scenario(scenario: str | Path) -> Scenario:
    """Parse and check a scenario; no series is read.

    Args:
        scenario: path of a TOML file, or the name of a built-in scenario.

    Raises:
        InputError: unreadable, not TOML, or not a scenario; says where, what was found, what is expected.
    """
    path = find_scenario(scenario)
    return parse_scenario(read_scenario(path), str(path))


def read_scenario(path: Path) -> bytes:
    """The bytes of a scenario file.

    Raises:
        InputError: unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def parse_scenario(content: bytes, source: str, start: str | None = None) -> Scenario:
    """Parse and check the bytes of a scenario.

    Args:
        content: TOML in UTF-8.
        source: what errors call it, for example its path.
        start: of the horizon, instead of the one the scenario says: a local date-time, or ``now``.

    Raises:
        InputError: not TOML, or not a scenario.
    """
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte-order mark
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: found bytes that are not UTF-8, expected a TOML file") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not valid TOML: {error}{_line_of(error, text)}") from error
    except (RecursionError, ValueError) as error:  # thousands of brackets, or of digits
        raise InputError(f"{source}: not valid TOML: {str(error)[:80]}") from error
    if start is not None and isinstance(data.get("horizon"), dict):
        data["horizon"]["start"] = start
    try:
        return Scenario.model_validate(data, strict=True)
    except ValidationError as error:
        lines = [_describe(item, data) for item in error.errors(include_url=False)]
        shown = [f"{source}: {line}" for line in lines[:_MOST_SHOWN]]
        if len(lines) > _MOST_SHOWN:
            shown.append(f"{source}: and {len(lines) - _MOST_SHOWN} more")
        raise InputError("\n".join(shown)) from error


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> str:
    """The line that the parser stopped at, as it is written."""
    at = re.search(r"at line (\d+)", str(error))
    lines = text.splitlines()
    if at is None or int(at.group(1)) > len(lines):
        return ""
    return f": found {_short(lines[int(at.group(1)) - 1].strip())}"


def _short(value: object) -> str:
    """What was found, on one line of bounded length."""
    found = repr(value)
    return found if len(found) <= 80 else found[:77] + "..."


def _describe(error: ErrorDetails, data: dict[str, Any]) -> str:
    place = _place(error["loc"], data)
    prefix = f"{place}: " if place else ""
    found = _short(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return prefix + _unknown_key(error["loc"])
        case "missing" if error["loc"][-1] == "unit":
            return f"{prefix}missing, expected {_units(error['loc'])}"
        case "literal_error" if error["loc"][-1] == "unit":
            return f"{prefix}found {found}, expected {_units(error['loc'])}"
        case "missing":
            return f"{prefix}missing, expected this key"
        case "value_error":
            return prefix + error["msg"].removeprefix("Value error, ")
        case "union_tag_not_found" | "union_tag_invalid":
            return f"{prefix}found {found}, expected {_kinds(error['loc'])}"
        case "string_pattern_mismatch":
            return (
                f"{prefix}found {found}, expected 1 to 40 of a-z, 0-9 and '-', "
                "beginning with a letter or a digit"
            )
        case "model_type" | "dict_type" | "model_attributes_type":
            named = ", or the name alone" if error["loc"] == ("mechanism",) else ""
            return f"{prefix}found {found}, expected a table{named}"
        case "list_type":
            tables = error["loc"] == ("member",)
            return f"{prefix}found {found}, expected {'[[member]] tables' if tables else 'a list'}"
        case "too_short" | "string_too_short":
            context = error.get("ctx", {})
            return f"{prefix}found {found}, expected {context.get('min_length', 1)} or more"
        case "too_long" | "string_too_long":
            return f"{prefix}found {found}, expected at most {error.get('ctx', {}).get('max_length')}"
        case _:
            expected = error["msg"].removeprefix("Input should be ")
            return f"{prefix}found {found}, expected {expected[:1].lower()}{expected[1:]}"


def _units(loc: tuple[int | str, ...]) -> str:
    """The units that a series may be in where it stands."""
    if "tariff" in loc:
        units = PRICE_UNITS
    elif "irradiance" in loc:
        units = IRRADIANCE_UNITS
    elif "co2_intensity" in loc:
        units = INTENSITY_UNITS
    else:
        units = ENERGY_UNITS
    *others, last = (repr(unit) for unit in units)
    return f"{', '.join(others)} or {last}" if others else last


def _kinds(loc: tuple[int | str, ...]) -> str:
    if loc and loc[0] == "tariff":
        return "a number [EUR/kWh], a list of time-of-use windows, or a table of file, constant or values"
    return 'a table with one of file, constant, values, or model = "bdew" or "irradiance"'


def _place(loc: tuple[int | str, ...], data: dict[str, Any]) -> str:
    """The field as the person wrote it: list items count from 1, members with their names."""
    text = ""
    node: Any = data
    for part in loc:
        if isinstance(part, int):
            text += f"[{part + 1}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
            if text.startswith("member[") and isinstance(node, dict) and "." not in text:
                name = str(node.get("name", "?"))
                text += f' "{name if name.isprintable() else repr(name)}" '
            continue
        if part.startswith("<") or part in ("windows", "str", "int", "constrained-int", "list[str]"):
            continue
        joint = "" if not text or text.endswith(" ") else "."
        text += joint + part
        node = node.get(part) if isinstance(node, dict) else None
    return text.strip()


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    *container, key = loc
    tag = next((part for part in reversed(container) if isinstance(part, str) and part.startswith("<")), None)
    model: type[BaseModel] | None
    if tag in SERIES_BY_TAG:
        if key in ("file", "constant", "values", "model"):
            return f"found beside {tag.strip('<>')}, expected one of file, constant, values, model"
        model = SERIES_BY_TAG[str(tag)]
    else:
        names = [part for part in container if isinstance(part, str) and not part.startswith("<")]
        model = _MODELS.get(tuple(name for name in names if name != "windows"))
    known = [field.alias or name for name, field in model.model_fields.items()] if model else []
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(known)}"
    return f"unknown key{hint}"
