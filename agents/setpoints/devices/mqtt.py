"""``mqtt:`` publishes set-points to a topic of an MQTT broker, as JSON, at QoS 1 and never retained.

URL: ``mqtt://user@host:port/topic``; ``mqtts:`` is MQTT over TLS, the server's certificate checked. The
password is read from the environment variable that ``password_env`` names. A set-point is
``{"member": "house", "mode": "setpoint", "power_kw": -1.5, "charge_kw": 1.5, "discharge_kw": 0.0,
"stored_kwh": 6.2, "slot_start": …, "slot_end": …, "valid_s": 960.0}``: power at the building's side,
discharge > 0, and for how long it counts once it is received; control is given back with
``{"member": "house", "mode": "auto", "power_kw": null}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
from pydantic import Field

from agents.meters.devices.address import Address, address_of
from agents.meters.source import Parameters, SourceUrl, parameters_of
from agents.setpoints.target import Carried, Order, TargetError
from runtime.errors import InputError
from runtime.protocol.setpoint_bodies import power_pair

QOS = 1
"""At least once: the broker acknowledges."""


class MqttTargetParameters(Parameters):
    """Parameters of ``mqtt:``.

    Attributes:
        password_env: environment variable with the password.
        timeout: after so many seconds without an acknowledgement the broker is taken for gone.
    """

    password_env: str | None = None
    timeout: float = Field(default=3.0, gt=0, le=60)


@dataclass(frozen=True)
class MqttTarget:
    """One topic of one broker; each order is a connection of its own."""

    broker: Address
    topic: str
    tls: bool
    password: str | None = field(repr=False)
    timeout_s: float

    def carry_out(self, order: Order, *, dry_run: bool) -> Carried:
        """See ``SetpointTarget``; the broker has acknowledged it, which says nothing of the device."""
        payload = json.dumps(payload_of(order))
        if not dry_run:
            try:
                asyncio.run(asyncio.wait_for(self._publish(payload), 2.0 * self.timeout_s))
            except (aiomqtt.MqttError, OSError) as error:
                why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
                raise TargetError(f"broker {self.broker}: {why}") from error
        return Carried(order.power_kw, f"{self.topic} {payload}")

    async def _publish(self, payload: str) -> None:
        async with aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            username=self.broker.user,
            password=self.password,
            tls_context=ssl.create_default_context() if self.tls else None,
            timeout=self.timeout_s,
        ) as client:
            await client.publish(self.topic, payload, qos=QOS, retain=False)


def payload_of(order: Order) -> dict[str, Any]:
    """What is published of an order."""
    if order.power_kw is None or order.slot_start is None or order.slot_end is None:
        return {"member": order.member, "mode": "auto", "power_kw": None}
    return {
        "member": order.member,
        "mode": "setpoint",
        "power_kw": order.power_kw,
        **power_pair(order.power_kw),
        "stored_kwh": order.stored_kwh,
        "slot_start": order.slot_start.isoformat(),
        "slot_end": order.slot_end.isoformat(),
        "valid_s": round(order.valid_s, 3),
    }


def open_target(url: SourceUrl) -> MqttTarget:
    """Open ``mqtt:`` or ``mqtts:``.

    Raises:
        InputError: address, topic or a parameter will not do.
    """
    given = parameters_of(url, MqttTargetParameters)
    tls = url.scheme == "mqtts"
    broker = address_of(url, 8883 if tls else 1883)
    topic = broker.path.strip("/")
    if not topic:
        raise InputError(f"target {url.text!r}: expected a topic after the broker: //host/topic")
    if "#" in url.text or "#" in topic or "+" in topic:
        raise InputError(f"target {url.text!r}: found a topic with a wildcard, expected one without # and +")
    password = None
    if given.password_env is not None:
        password = os.environ.get(given.password_env)
        if password is None:
            raise InputError(f"target {url.text!r}: found no environment variable {given.password_env!r}")
    return MqttTarget(broker, topic, tls, password, given.timeout)
