"""A small street that trades for a few hours: fast to run, with something to negotiate in every slot."""

from __future__ import annotations

from pathlib import Path

SLOTS = 16

MEMBERS = ["bakery", "home", "flat", "farm"]


def _repeated(*values: float) -> str:
    return str([*values] * (SLOTS // len(values)))


STREET = f"""
seed = 11

[mechanism]
name = "mid-market-rate"
max_rounds = ROUNDS
tolerance = 0.0

[community]
name = "Street"

[horizon]
start = 2024-06-18T08:00:00
zone = "Europe/Paris"
slot_minutes = 15
slots = {SLOTS}

[tariff]
import = {{ values = {_repeated(0.31, 0.24, 0.28, 0.19)}, unit = "EUR/kWh" }}
export = 0.08

[clock]
kind = "real-time"
speed = SPEED

[[member]]
name = "bakery"
load = {{ values = {_repeated(2.1, 1.7, 0.9, 0.4)}, unit = "kWh" }}
battery = {{ capacity_kwh = 6, charge_efficiency = 0.95, discharge_efficiency = 0.95 }}

[[member]]
name = "home"
load = {{ values = {_repeated(0.2, 0.3, 0.8, 0.5)}, unit = "kWh" }}
pv = {{ production = {{ values = {_repeated(0.6, 0.9, 1.3, 0.7)}, unit = "kWh" }} }}
battery = {{ capacity_kwh = 8, soc_end_min = 0.5 }}
meter = {{ noise = 0.05 }}

[[member]]
name = "flat"
load = {{ constant = 1.1, unit = "kW" }}

[[member]]
name = "farm"
pv = {{ production = {{ constant = 3.5, unit = "kW" }} }}
battery = {{ capacity_kwh = 4, charge_limit_kw = 2, discharge_limit_kw = 2 }}
"""


def write_street(folder: Path, rounds: int = 20, slot_seconds: float = 0.15) -> Path:
    """The street's scenario, with this many price rounds and slots of this length on the wall clock."""
    path = folder / "street.toml"
    text = STREET.replace("ROUNDS", str(rounds)).replace("SPEED", str(900 / slot_seconds))
    path.write_text(text, encoding="utf-8")
    return path
