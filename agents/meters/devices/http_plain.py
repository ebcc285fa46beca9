"""``http:`` and ``https:`` with Python's own client, for boards without aiohttp; URLs as in ``http_poll``."""

from __future__ import annotations

import asyncio
import http.client
import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import quote

from pydantic import Field

from agents.meters.devices.address import Address, address_of
from agents.meters.devices.figures import Figure, FigureParameters, figure_of
from agents.meters.devices.json_path import MAX_BODY_BYTES
from agents.meters.devices.presets import HTTP_PRESETS
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveSource, Sink
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig
from runtime.errors import InputError


class HttpParameters(FigureParameters):
    """Parameters of ``http:`` besides those of figures.

    Attributes:
        every: how often the device is asked [s].
        timeout: after so many seconds without an answer it is taken for gone.
        device: name of entity or sensor, where a preset needs one.
        query: the address's own parameters.
        token_env: environment variable with a bearer token.
    """

    every: float = Field(default=5.0, ge=0.05, le=3600)
    timeout: float = Field(default=5.0, gt=0, le=60)
    device: str = ""
    query: str = ""
    token_env: str | None = None


@dataclass(frozen=True)
class PlainHttpFeed:
    """One address that is asked again and again, each time on a connection of its own.

    Attributes:
        where: host and port.
        target: path and query.
        secure: whether it is ``https:``; the certificate is checked against the system's authorities.
    """

    where: Address
    target: str
    secure: bool
    figure: Figure
    every_s: float
    timeout_s: float
    token: str | None = field(repr=False)

    @property
    def kind(self) -> Kind:
        """What it tells."""
        return self.figure.kind

    async def run(self, sink: Sink) -> None:
        """Ask until there is no answer."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            try:
                body = await asyncio.to_thread(self._ask)
            except TimeoutError as error:
                raise FeedError(f"{self}: no answer within {self.timeout_s:g} s") from error
            except (OSError, http.client.HTTPException) as error:
                raise FeedError(f"{self}: {error}") from error
            sink.up()
            self.figure.tell(sink, body)
            next_s = max(next_s + self.every_s, loop.time())
            await asyncio.sleep(next_s - loop.time())

    def __str__(self) -> str:
        """The address, for people."""
        return f"{'https' if self.secure else 'http'}://{self.where}{self.target}"

    def _ask(self) -> bytes:
        host, port = self.where.host, self.where.port
        connection = (
            http.client.HTTPSConnection(
                host, port, timeout=self.timeout_s, context=ssl.create_default_context()
            )
            if self.secure
            else http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        )
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request("GET", self.target, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise FeedError(f"{self}: answered {answer.status} {answer.reason}, expected 200")
            return answer.read(MAX_BODY_BYTES + 1)  # the figure refuses it for its length
        finally:
            connection.close()


def encoded_query(text: str) -> str:
    """An address's query as it is sent: what is encoded already stays, what must be is encoded."""
    return quote(text, safe="=&%+,:;/?@!$'()*~-._")


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``http:`` or ``https:``.

    Raises:
        InputError: address or a parameter will not do.
    """
    given = parameters_of(url, HttpParameters)
    where = address_of(url, 443 if url.scheme == "https" else 80)
    figure = figure_of(url, given, HTTP_PRESETS, given.device)
    if "{device}" in (HTTP_PRESETS[given.preset].place if given.preset else "") and not given.device:
        raise InputError(f"source {url.text!r}: device: the preset {given.preset} needs its name")
    path, _, query = (figure.place or "").partition("?")
    path = where.path.rstrip("/") + path if figure.place else where.path
    query = query or encoded_query(given.query)
    target = quote(path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{query}" if query else "")
    token = None
    if given.token_env is not None:
        token = os.environ.get(given.token_env)
        if token is None:
            raise InputError(f"source {url.text!r}: found no environment variable {given.token_env!r}")
    feed = PlainHttpFeed(where, target, url.scheme == "https", figure, given.every, given.timeout, token)
    return LiveSource(url.text, feed, given, integration=figure.integration)
