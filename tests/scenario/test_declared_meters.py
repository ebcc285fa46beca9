"""Meters that a scenario declares: which role is read from where, and what will not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.meters.several import SeveralSources, source_of
from agents.meters.source import ReadingError
from runtime.errors import InputError
from runtime.scenario.resolve import resolve

SCENARIO = """
[community]
name = "meters"
[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 60
slots = 4
[tariff]
import = 0.25
export = 0.05
[[member]]
name = "house"
load = { constant = 1.0, unit = "kW" }
pv = { production = { constant = 0.5, unit = "kW" } }
battery = { capacity_kwh = 4 }
METERS
[[member]]
name = "other"
load = { constant = 1.0, unit = "kW" }
"""
NET = '[[member.meter]]\nsource = "csv:net.csv?net=net&unit=kWh"\nroles = ["net"]\n'
BATTERY = '[[member.meter]]\nsource = "csv:net.csv?battery=battery&unit=kWh"\nroles = ["battery"]\n'
LOAD = '[[member.meter]]\nsource = "csv:net.csv?load=load&unit=kWh"\nroles = ["load"]\n'


def resolved(folder: Path, meters: str):
    (folder / "net.csv").write_text("net,battery,load\n1.5,-0.5,1\n-2,1,2\n0.25,0,\n0,0,4\n")
    (folder / "village.toml").write_text(SCENARIO.replace("METERS", meters))
    return resolve(folder / "village.toml")


def test_one_table_is_the_meter_of_everything_as_ever(tmp_path):
    made = resolved(tmp_path, 'meter = { noise = 0.05, source = "simulated:?scale=2" }')
    meter = made.meters_config().meters[0]
    assert (meter.roles, meter.source, meter.sources, meter.noise) == (
        ["load", "pv"], "simulated:?scale=2", {}, 0.05,
    )  # fmt: skip
    assert meter.measurable == ["load", "pv", "net", "battery"]
    assert made.meters_config().meters[1].measurable == ["load", "net"]


def test_each_role_is_read_from_its_own_source_and_the_rest_is_played(tmp_path):
    made = resolved(tmp_path, LOAD + NET + BATTERY)
    meter = made.meters_config().meters[0]
    assert meter.roles == made.member_config("house").roles == ["load", "pv", "net", "battery"]
    source = source_of(meter)
    assert isinstance(source, SeveralSources)
    assert source.roles == {"load", "pv", "net", "battery"}
    day = meter.sessions[0].horizon
    assert [source.read(0, slot, day, "net") for slot in range(4)] == [1.5, -2.0, 0.25, 0.0]
    assert [source.read(0, slot, day, "battery") for slot in range(4)] == [-0.5, 1.0, 0.0, 0.0]
    assert source.read(0, 1, day, "load") == 2.0
    assert source.read(0, 1, day, "pv") == 0.5
    with pytest.raises(ReadingError):
        source.read(0, 2, day, "load")
    assert source.read(0, 2, day, "pv") == 0.5


def test_beside_a_meter_of_the_grid_the_load_is_not_played(tmp_path):
    made = resolved(tmp_path, NET)
    assert made.member_config("house").roles == ["pv", "net"]
    assert made.member_config("other").roles == ["load"]


@pytest.mark.parametrize(
    ("meters", "message"),
    [
        (NET + NET, "roles: found net twice"),
        (NET.replace('["net"]', '["heat"]'), "roles"),
        (NET.replace('["net"]', "[]"), "roles"),
        ('[[member.meter]]\nnoise = 0.1\n[[member.meter]]\nsource = "simulated:"\n', "several without roles"),
    ],
)
def test_what_will_not_do_is_named(tmp_path, meters, message):
    with pytest.raises(InputError, match=message):
        resolved(tmp_path, meters)


def test_a_role_that_the_member_or_the_source_has_not_is_named(tmp_path):
    text = SCENARIO.replace("battery = { capacity_kwh = 4 }\n", "").replace("METERS", BATTERY)
    (tmp_path / "village.toml").write_text(text)
    with pytest.raises(InputError, match="found battery, which the member does not have"):
        resolve(tmp_path / "village.toml")
    made = resolved(tmp_path, NET.replace("net=net", "load=load"))
    with pytest.raises(InputError, match=r"role 'net': source .* measures load"):
        source_of(made.meters_config().meters[0])
