"""Sources for small boards: HTTP by Python's own client, and lines on standard input."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from live import Listening, free_port
from meter_setup import meter_config

from agents.meters.devices import http_plain, http_poll
from agents.meters.devices.pipe import MAX_LINE_BYTES, PipeFeed
from agents.meters.source import open_source, parse_source_url
from runtime.configuration import ClockConfig
from runtime.errors import InputError


class Device(ThreadingHTTPServer):
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self):
        self.asked, self.answers = [], [(200, b"{}")]
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:
            time.sleep(1.0)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def device():
    server = Device()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@contextlib.asynccontextmanager
async def listening(source):
    listener = Listening(source)
    source.start(ClockConfig(kind="real-time"), listener.hear)
    try:
        yield listener
    finally:
        await source.close()


def plain(url):
    return http_plain.open_source(parse_source_url(url), meter_config())


@pytest.mark.parametrize(
    "url",
    [
        "http://host/status?path=a&unit=W",
        "http://host:8080?path=a&unit=W",
        "https://host/a%20b/c?path=a&unit=W",
        "http://host?preset=shelly-gen2-em",
        "http://host?preset=shelly-gen1-em&n=1",
        "http://host/base/?preset=homewizard",
        "http://host?preset=esphome&device=total",
        "http://host/x?unit=W&query=a%3Db%2Bc%26d%3D1",
        "http://host/cm?unit=W&query=cmnd%3DStatus%25208",
    ],
)
def test_it_asks_for_the_same_address_as_the_source_on_aiohttp(url):
    parsed = parse_source_url(url)
    with_aiohttp = http_poll.open_source(parsed, meter_config())._feed.address
    lean = plain(url)._feed
    assert (lean.where.host, lean.where.port) == (with_aiohttp.host, with_aiohttp.port)
    assert lean.secure is (with_aiohttp.scheme == "https")
    assert lean.target == with_aiohttp.raw_path_qs


async def test_values_outages_and_a_token(device, monkeypatch):
    monkeypatch.setenv("METER_TOKEN", "s3cret")
    device.answers = [
        *((200, b'{"e": 1.5}'), (200, b"no json"), (404, b""), (0, b""), (200, b'{"e": 2}')),
    ]
    port = device.server_address[1]
    url = f"http://127.0.0.1:{port}/e?path=e&unit=kWh&every=0.05&timeout=0.3&token_env=METER_TOKEN"
    async with listening(plain(url)) as meter:
        await meter.until("sample", 2)
        lost = [detail["reason"] for detail in meter.of("down")]
    assert meter.raw[:2] == [1.5, 2]
    assert len(meter.of("refused")) == 1
    assert "answered 404" in lost[0]
    assert "no answer within 0.3 s" in lost[1]
    assert "s3cret" not in repr(meter.source._feed)
    assert device.asked[0] == ("/e", "Bearer s3cret")


async def test_a_device_that_is_not_there_is_looked_for(device):
    async with listening(plain(f"http://127.0.0.1:{free_port()}/e?unit=kWh")) as meter:
        (down, *_) = await meter.until("down")
    assert "refused" in down["reason"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http:///a?unit=W", "expected http://host"),
        ("http://host?preset=esphome", "device: the preset esphome needs its name"),
        ("http://host/a?unit=W&token_env=NO_SUCH_VARIABLE", "no environment variable"),
        ("http://host/a?unit=W&every=0", "every: "),
    ],
)
def test_bad_addresses_are_refused(url, message):
    with pytest.raises(InputError, match=message):
        plain(url)


async def test_lines_of_another_program_are_values_and_what_is_none_is_refused():
    reading, writing = os.pipe()
    url = "pipe:?path=total&unit=Wh&time=at&age=1e12"
    source = open_source(url, meter_config())
    stream = os.fdopen(reading, "rb")
    source._feed = PipeFeed(source._feed.figure, stream)
    at = "2026-01-01T00:00:00Z"
    lines = [
        json.dumps({"total": 1000, "at": at}),
        "",
        "rubbish",
        "x" * (3 * MAX_LINE_BYTES),
        json.dumps({"total": 1500, "at": at}),
    ]
    with os.fdopen(writing, "w") as pipe:
        async with listening(source) as meter:
            writer = threading.Thread(target=lambda: (pipe.write("\n".join(lines) + "\n"), pipe.flush()))
            writer.start()
            samples = await meter.until("sample", 2)
            writer.join()
            pipe.close()
            down = await meter.until("down", 2)
    assert [sample["register_kwh"] for sample in samples] == [1.0, 1.5]
    assert samples[0]["instant"].startswith("2026-01-01T00:00:00")
    reasons = [detail["reason"] for detail in meter.of("refused")]
    assert any(f"more than {MAX_LINE_BYTES} bytes" in reason for reason in reasons)
    assert any("expected" in reason for reason in reasons)
    assert {detail["reason"] for detail in down} == {"standard input has ended"}


@pytest.mark.parametrize(("url", "message"), [("pipe:x?unit=W", "found 'x'"), ("pipe:", "unit: found none")])
def test_bad_pipes_are_refused(url, message):
    with pytest.raises(InputError, match=message):
        open_source(url, meter_config())
