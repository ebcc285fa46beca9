"""``http:`` and ``https:`` ask a device for a JSON document again and again.

URL: ``http://host/status?path=emeters[0].total&unit=Wh&every=5``, or ``http://host?preset=shelly-gen2-em``.
Parameters of the address itself go into ``query``, encoded: ``query=cmnd%3DStatus%25208``. A token is read
from the environment variable that ``token_env`` names and sent as bearer.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from agents.meters.devices.address import address_of
from agents.meters.devices.figures import Figure, figure_of
from agents.meters.devices.http_plain import HttpParameters, encoded_query
from agents.meters.devices.json_path import MAX_BODY_BYTES
from agents.meters.devices.presets import HTTP_PRESETS
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveSource, Sink
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig
from runtime.errors import InputError


@dataclass(frozen=True)
class HttpFeed:
    """One address that is asked again and again."""

    address: URL
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
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        limit = aiohttp.ClientTimeout(total=self.timeout_s)
        loop = asyncio.get_running_loop()
        try:
            async with aiohttp.ClientSession(timeout=limit, headers=headers) as session:
                next_s = loop.time()
                while True:
                    body = await self._ask(session)
                    sink.up()
                    self.figure.tell(sink, body)
                    next_s = max(next_s + self.every_s, loop.time())
                    await asyncio.sleep(next_s - loop.time())
        except TimeoutError as error:
            raise FeedError(f"{self.address}: no answer within {self.timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise FeedError(f"{self.address}: {_reason(error)}") from error

    async def _ask(self, session: aiohttp.ClientSession) -> bytes:
        async with session.get(self.address) as answer:
            if answer.status != 200:
                raise FeedError(f"{self.address}: answered {answer.status} {answer.reason}, expected 200")
            body = b""
            async for part in answer.content.iter_any():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    break  # the figure refuses it for its length
            return body


def _reason(error: aiohttp.ClientError) -> str:
    """In plain words where a connection was not to be had: aiohttp's name its own settings instead."""
    if not isinstance(error, aiohttp.ClientConnectorError) or isinstance(error, aiohttp.ClientSSLError):
        return str(error)
    number = error.os_error.errno or 0
    return f"no connection: {os.strerror(number) if number > 0 else error.os_error.strerror}"


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``http:`` or ``https:``.

    Raises:
        InputError: address or a parameter will not do.
    """
    given = parameters_of(url, HttpParameters)
    where = address_of(url, 443 if url.scheme == "https" else 80)
    figure = figure_of(url, given, HTTP_PRESETS, given.device)
    place = figure.place or ""
    if "{device}" in (HTTP_PRESETS[given.preset].place if given.preset else "") and not given.device:
        raise InputError(f"source {url.text!r}: device: the preset {given.preset} needs its name")
    path, _, query = place.partition("?")
    address = URL.build(
        scheme=url.scheme,
        host=where.host,
        port=where.port,
        path=where.path.rstrip("/") + path if place else where.path,
    )
    if query := query or encoded_query(given.query):
        address = URL(f"{address}?{query}", encoded=True)
    token = None
    if given.token_env is not None:
        token = os.environ.get(given.token_env)
        if token is None:
            raise InputError(f"source {url.text!r}: found no environment variable {given.token_env!r}")
    feed = HttpFeed(address, figure, given.every, given.timeout, token)
    return LiveSource(url.text, feed, given, integration=figure.integration)
