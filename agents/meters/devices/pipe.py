"""``pipe:`` reads JSON lines from standard input: what another program, in whatever language, measures.

URL: ``pipe:?unit=kWh`` for lines with a number each, ``pipe:?path=total&unit=Wh&time=at`` for objects. What
is no figure is refused with a reason; the end of the input is an outage that nothing ends.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import BinaryIO

from agents.meters.devices.figures import Figure, FigureParameters, figure_of
from agents.meters.energy import Kind
from agents.meters.live import FeedError, LiveSource, Sink
from agents.meters.source import SourceUrl, parameters_of
from runtime.configuration import MeterConfig
from runtime.errors import InputError

MAX_LINE_BYTES = 64 * 1024
"""A longer line is no reading."""

ENDED = "standard input has ended"


@dataclass(frozen=True)
class PipeFeed:
    """Lines of an input.

    Attributes:
        figure: where in a line the figure is.
        stream: the input.
    """

    figure: Figure
    stream: BinaryIO

    @property
    def kind(self) -> Kind:
        """What it tells."""
        return self.figure.kind

    async def run(self, sink: Sink) -> None:
        """Read lines until the input ends."""
        if self.stream.closed:
            raise FeedError(ENDED)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self.stream)
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:  # the reader has dropped it
                    sink.refuse(f"found a line of more than {MAX_LINE_BYTES} bytes")
                    continue
                if not line:
                    break
                sink.up()
                if line := line.strip():
                    self.figure.tell(sink, line)
        finally:
            transport.close()
        raise FeedError(ENDED)


def open_source(url: SourceUrl, meter: MeterConfig) -> LiveSource:
    """Open ``pipe:``.

    Raises:
        InputError: a parameter will not do.
    """
    if url.path:
        raise InputError(f"source {url.text!r}: found {url.path!r}, expected pipe:?unit=kWh")
    given = parameters_of(url, FigureParameters)
    figure = figure_of(url, given, {}, "")
    return LiveSource(url.text, PipeFeed(figure, sys.stdin.buffer), given, integration=figure.integration)
