"""``mqtt:`` listens to a topic of an MQTT broker, for a figure in JSON or a bare number.

URL: ``mqtt://user@host:port/topic?path=ENERGY.Total&unit=kWh``, or with a preset
``mqtt://host/shellies/shellyem-1234?preset=shelly-gen1-em-total&n=0``. ``mqtts:`` is MQTT over TLS, the
server's certificate checked. The password is read from the environment variable that ``password_env`` names.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field

import aiomqtt
from pydantic import Field

from agents.meters.devices.address import Address, address_of
from agents.meters.devices.figures import Figure, FigureParameters, figure_of
from agents.meters.devices.presets import MQTT_PRESETS
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveSource, Sink
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig
from runtime.errors import InputError

CONNECT_LIMIT_S = 10.0


class MqttParameters(FigureParameters):
    """Parameters of ``mqtt:`` besides those of figures.

    Attributes:
        password_env: environment variable with the password.
        keepalive: after so many seconds without a sign of the broker it is taken for gone.
        qos: quality of service asked for.
    """

    password_env: str | None = None
    keepalive: int = Field(default=30, ge=1, le=3600)
    qos: int = Field(default=1, ge=0, le=2)


@dataclass(frozen=True)
class MqttFeed:
    """One topic of one broker."""

    broker: Address
    topic: str
    figure: Figure
    tls: bool
    password: str | None = field(repr=False)
    keepalive_s: int
    qos: int

    @property
    def kind(self) -> Kind:
        """What it tells."""
        return self.figure.kind

    async def run(self, sink: Sink) -> None:
        """Listen until the broker is lost; a retained message without a time of its own says nothing new."""
        try:
            async with aiomqtt.Client(
                self.broker.host,
                self.broker.port,
                username=self.broker.user,
                password=self.password,
                tls_context=ssl.create_default_context() if self.tls else None,
                keepalive=self.keepalive_s,
                timeout=CONNECT_LIMIT_S,
            ) as client:
                await client.subscribe(self.topic, qos=self.qos)
                sink.up()
                async for message in client.messages:
                    if message.retain and self.figure.time_path is None:
                        continue
                    payload = message.payload
                    if isinstance(payload, bytes | str):
                        self.figure.tell(sink, payload)
                    else:
                        sink.refuse(f"expected a payload, found {payload!r:.40}")
        except aiomqtt.MqttError as error:
            raise FeedError(f"broker {self.broker}: {error}") from error


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``mqtt:`` or ``mqtts:``.

    Raises:
        InputError: address, topic or a parameter will not do.
    """
    given = parameters_of(url, MqttParameters)
    tls = url.scheme == "mqtts"
    broker = address_of(url, 8883 if tls else 1883)
    figure = figure_of(url, given, MQTT_PRESETS, "")
    topic = broker.path.strip("/") + (figure.place or "")
    if not broker.path.strip("/"):
        raise InputError(f"source {url.text!r}: expected a topic after the broker: //host/topic")
    if "#" in topic or "+" in topic:
        raise InputError(f"source {url.text!r}: found the topic {topic!r}, expected one without wildcards")
    password = None
    if given.password_env is not None:
        password = os.environ.get(given.password_env)
        if password is None:
            raise InputError(f"source {url.text!r}: found no environment variable {given.password_env!r}")
    feed = MqttFeed(broker, topic, figure, tls, password, given.keepalive, given.qos)
    return LiveSource(url.text, feed, given, integration=figure.integration)
