"""Where common devices put their figures: topic or address, path and unit, by the preset's name.

From the makers' documentation: Shelly (Gen1 HTTP and MQTT, Gen2+ RPC), Tasmota (``Status``, ``SENSOR``),
Zigbee2MQTT (exposes), ESPHome (web server), HomeWizard (local API), Fronius (Solar API v1), Home Assistant
(REST states, MQTT statestream). ``{n}`` is the channel, ``{device}`` what the URL says.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.meters.energy import Integration


@dataclass(frozen=True, slots=True)
class Preset:
    """Where a device puts a figure.

    Attributes:
        place: MQTT topic below the device's own, or path of an HTTP address.
        path: JSON path; empty for a bare number.
        unit: of the figure.
        integration: how a power becomes energy.
    """

    place: str
    path: str
    unit: str
    integration: Integration = "trapezoid"


MQTT_PRESETS = {
    "shelly-gen1-relay": Preset("/relay/{n}/power", "", "W", "hold"),
    "shelly-gen1-relay-energy": Preset("/relay/{n}/energy", "", "Wmin"),
    "shelly-gen1-em": Preset("/emeter/{n}/power", "", "W", "hold"),
    "shelly-gen1-em-total": Preset("/emeter/{n}/total", "", "Wh"),
    "shelly-gen1-em-returned": Preset("/emeter/{n}/total_returned", "", "Wh"),
    "shelly-gen2-switch": Preset("/status/switch:{n}", "aenergy.total", "Wh"),
    "shelly-gen2-switch-power": Preset("/status/switch:{n}", "apower", "W", "hold"),
    "shelly-gen2-em": Preset("/status/emdata:{n}", "total_act", "Wh"),
    "shelly-gen2-em-returned": Preset("/status/emdata:{n}", "total_act_ret", "Wh"),
    "shelly-gen2-em-power": Preset("/status/em:{n}", "total_act_power", "W", "hold"),
    "shelly-gen2-em1": Preset("/status/em1data:{n}", "total_act_energy", "Wh"),
    "shelly-gen2-em1-returned": Preset("/status/em1data:{n}", "total_act_ret_energy", "Wh"),
    "tasmota": Preset("/SENSOR", "ENERGY.Total", "kWh"),
    "tasmota-power": Preset("/SENSOR", "ENERGY.Power", "W"),
    "zigbee2mqtt": Preset("", "energy", "kWh"),
    "zigbee2mqtt-power": Preset("", "power", "W", "hold"),
    "homeassistant": Preset("/state", "", "kWh"),
    "homeassistant-power": Preset("/state", "", "W", "hold"),
}
"""Presets of ``mqtt:``; the topic of the URL is the device's own, and for Home Assistant's statestream the
entity's."""

HTTP_PRESETS = {
    "shelly-gen1": Preset("/status", "meters[{n}].total", "Wmin"),
    "shelly-gen1-power": Preset("/status", "meters[{n}].power", "W"),
    "shelly-gen1-em": Preset("/status", "emeters[{n}].total", "Wh"),
    "shelly-gen1-em-returned": Preset("/status", "emeters[{n}].total_returned", "Wh"),
    "shelly-gen1-em-power": Preset("/status", "emeters[{n}].power", "W"),
    "shelly-gen2-switch": Preset("/rpc/Switch.GetStatus?id={n}", "aenergy.total", "Wh"),
    "shelly-gen2-switch-power": Preset("/rpc/Switch.GetStatus?id={n}", "apower", "W"),
    "shelly-gen2-em": Preset("/rpc/EMData.GetStatus?id={n}", "total_act", "Wh"),
    "shelly-gen2-em-returned": Preset("/rpc/EMData.GetStatus?id={n}", "total_act_ret", "Wh"),
    "shelly-gen2-em-power": Preset("/rpc/EM.GetStatus?id={n}", "total_act_power", "W"),
    "shelly-gen2-em1": Preset("/rpc/EM1Data.GetStatus?id={n}", "total_act_energy", "Wh"),
    "shelly-gen2-em1-returned": Preset("/rpc/EM1Data.GetStatus?id={n}", "total_act_ret_energy", "Wh"),
    "tasmota": Preset("/cm?cmnd=Status%208", "StatusSNS.ENERGY.Total", "kWh"),
    "tasmota-power": Preset("/cm?cmnd=Status%208", "StatusSNS.ENERGY.Power", "W"),
    "tasmota-10": Preset("/cm?cmnd=Status%2010", "StatusSNS.ENERGY.Total", "kWh"),
    "esphome": Preset("/sensor/{device}", "value", "kWh"),
    "esphome-power": Preset("/sensor/{device}", "value", "W"),
    "homewizard": Preset("/api/v1/data", "total_power_import_kwh", "kWh"),
    "homewizard-returned": Preset("/api/v1/data", "total_power_export_kwh", "kWh"),
    "homewizard-power": Preset("/api/v1/data", "active_power_w", "W"),
    "fronius": Preset("/solar_api/v1/GetPowerFlowRealtimeData.fcgi", "Body.Data.Site.P_PV", "W"),
    "homeassistant": Preset("/api/states/{device}", "state", "kWh"),
    "homeassistant-power": Preset("/api/states/{device}", "state", "W"),
}
"""Presets of ``http:`` and ``https:``."""
