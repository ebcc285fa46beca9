"""``peerwatt-meter`` installed alone, against the embedded server and a real Prosody."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
import venv
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from recording_agent import RecordingAgent, inform
from xmpp_servers import SERVERS

from runtime.configuration import ClockConfig
from runtime.horizon import Horizon
from runtime.joining import Joining
from runtime.messagelog.verify import FindingKind, verify
from runtime.protocol.bodies import (
    Acknowledged,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteringEnded,
    Reading,
    ReadingRequest,
    Reason,
    parse_body,
)
from runtime.protocol.envelope import Performative
from runtime.xmpp.authority import ensure_credentials

ROOT = Path(__file__).parents[2]
PEAK_RSS_LIMIT_MIB = 45.0
ABSENT = ["spade", "slixmpp", "pymoo", "pandas", "numpy", "scipy", "pyjabber", "aiohttp", "typer"]
HORIZON = Horizon(start=datetime(2024, 6, 18, tzinfo=UTC), zone="UTC", slot_minutes=60, slots=24)


def distributions_of(name, extras=(), found=None):
    """Distributions that one needs, itself too, as installed here."""
    found = {} if found is None else found
    installed = importlib.metadata.distribution(name)
    if installed.metadata["Name"].lower() not in found:
        found[installed.metadata["Name"].lower()] = installed
        for text in installed.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                distributions_of(requirement.name, requirement.extras, found)
    return found


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The wheel in an environment with nothing else but what it says it needs."""
    place = tmp_path_factory.mktemp("alone")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = ["wheel", "--no-build-isolation", "--no-deps", "-w", place, ROOT / "agents/meters/device"]
    subprocess.run([*pip, *build], check=True, timeout=120)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", symlinks=True)
    python = place / "venv" / "bin" / "python"
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    install = ["--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run([*pip, *install], check=True, timeout=120)
    (metadata,) = importlib.metadata.distributions(name="peerwatt-meter", path=[str(packages)])
    for text in metadata.requires:
        if "extra" not in text:
            for distribution in distributions_of(Requirement(text).name).values():
                tops = {file.parts[0] for file in distribution.files if file.parts[0] != ".."}
                for top in tops - {"__pycache__"}:
                    link = packages / top
                    if not link.exists():
                        link.symlink_to(distribution.locate_file(top))
    return place / "venv" / "bin"


@pytest.fixture(params=list(SERVERS))
def server(request, tmp_path):
    directory = tmp_path / "server"
    directory.mkdir()
    made = SERVERS[request.param](directory)
    made.connection = made.start()
    yield made
    made.kill()


class Prosumer(RecordingAgent):
    """Answers what a meter asks, and asks for slots when told to."""

    def on_envelope(self, envelope):
        super().on_envelope(envelope)
        body = parse_body(envelope.body)
        match body:
            case MeterAttach():
                self.answer(envelope, Performative.AGREE, MeterAttached(session=0, slot=3))
            case MeterDetach():
                self.answer(envelope, Performative.CONFIRM, Acknowledged())

    def answer(self, to, performative, body):
        changes = {"performative": performative, "protocol": "metering", "conversation": "metering"}
        self.transmit(
            inform(self.bare_jid, to.sender, body=body.to_json(), in_reply_to=to.message_id, **changes)
        )

    def ask(self, meter, slot, **changes):
        start = HORIZON.slot_start(slot)
        request = ReadingRequest(
            session=0, slot=slot, slot_start=start, slot_end=start + timedelta(hours=1), roles=["load"]
        )
        envelope = inform(
            self.bare_jid,
            meter,
            performative=Performative.REQUEST,
            protocol="metering",
            body=request.to_json(),
            expects_reply=True,
            **changes,
        )
        self.transmit(envelope)
        return envelope

    def bodies(self, kind):
        found = (parse_body(envelope.body) for envelope in self.envelopes)
        return [body for body in found if isinstance(body, kind)]


@asynccontextmanager
async def device(installed, connection, tmp_path, *, source="pipe:?unit=Wh", join=None):
    path = tmp_path / "join.json"
    joining = Joining(
        member="member-000",
        prosumer=connection.jid("member-000"),
        account="meter",
        secret=connection.password_for("meter"),
        domain=connection.domain,
        host=connection.host,
        port=connection.port,
        ca_pem=connection.ca_file.read_text(),
        roles=["load"],
        clock=ClockConfig(kind="real-time", speed=3600.0),
        sessions=[HORIZON],
    )
    joining.model_copy(update=join or {}).save(path)
    process = await asyncio.create_subprocess_exec(
        installed / "peerwatt-meter",
        *("--join", path, "--source", source, "--log", tmp_path / "meter.jsonl"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def step(process, phase):
    async with asyncio.timeout(20):
        while line := await process.stdout.readline():
            told = json.loads(line)
            if told["phase"] == phase:
                return told
    raise AssertionError(f"ended before {phase}: {(await process.stderr.read()).decode()}")


def test_the_wheel_brings_nothing_of_the_market(installed):
    program = (
        "import importlib.util, sys; import agents.meters.device.client, runtime.process;"
        f"print(*[name for name in {ABSENT} if importlib.util.find_spec(name)], sep=' ')"
    )
    done = subprocess.run(
        [installed / "python", "-I", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")
    assert (packages / "agents/meters/machine.py").is_file()
    for of_the_market in ("coordinator", "agents/prosumer.py", "runtime/messaging/host.py", "runtime/cli"):
        assert not (packages / of_the_market).exists()


async def test_a_device_attaches_delivers_readings_and_takes_its_leave(installed, server, tmp_path):
    prosumer = Prosumer(server.connection, "member-000")
    await asyncio.wait_for(prosumer.start(), 40)
    async with device(installed, server.connection, tmp_path) as process:
        attached = await step(process, "attached")
        assert attached["peak_rss_mib"] <= PEAK_RSS_LIMIT_MIB
        assert prosumer.bodies(MeterAttach) == [MeterAttach(roles=["load"], source="pipe:?unit=Wh")]
        began_s = time.monotonic()
        for tenth in range(13):  # 100 Wh in a tenth of a second
            process.stdin.write(f"{1000 + 1000 * (time.monotonic() - began_s):.0f}\n".encode())
            await process.stdin.drain()
            await asyncio.sleep(0.1 if tenth < 12 else 0.0)
        process.stdin.write(b"not a number\n")
        asked = prosumer.ask(server.connection.jid("meter"), 3)
        await prosumer.until(lambda: prosumer.bodies((Reading, Reason)))
        prosumer.transmit(asked)  # once more, as if the answer had been lost
        await prosumer.until(lambda: len(prosumer.bodies(Reading)) == 2)
        process.send_signal(signal.SIGTERM)
        await step(process, "detached")
        assert await asyncio.wait_for(process.wait(), 40) == 0
        assert b"pipe:?unit=Wh: refused: expected " in await process.stderr.read()
    assert len(prosumer.bodies(MeterDetach)) == 1
    first, again = prosumer.bodies(Reading)
    assert first == again
    assert (first.slot, first.e[0].n) == (3, "load")
    assert first.e[0].v == pytest.approx(1.0, abs=0.25)  # a slot is a second long
    assert first.bt == HORIZON.slot_start(3).timestamp()
    # the chain holds and every message is in order; the prosumer here keeps no log to hold them against
    assert [finding.kind for finding in verify([tmp_path / "meter.jsonl"])] == [FindingKind.NO_LOG]
    await prosumer.stop()


async def test_a_device_comes_back_after_its_server_and_attaches_again(installed, server, tmp_path):
    prosumer = Prosumer(server.connection, "member-000")
    await asyncio.wait_for(prosumer.start(), 40)
    async with device(installed, server.connection, tmp_path) as process:
        await step(process, "attached")
        server.kill()
        assert "connection lost" in (await step(process, "disconnected"))["reason"]
        server.start()
        await step(process, "attached")
        process.stdin.write(b"1\n2\n")
        await process.stdin.drain()
        prosumer.ask(server.connection.jid("meter"), 4)
        await prosumer.until(lambda: prosumer.bodies((Reading, Reason)))
        ended = inform(
            prosumer.bare_jid,
            server.connection.jid("meter"),
            protocol="metering",
            body=MeteringEnded().to_json(),
        )
        prosumer.transmit(ended)
        assert await asyncio.wait_for(process.wait(), 40) == 0
    # Once before and once after. If the prosumer is back later than a repetition takes, as on a node that
    # comes up after the meter's, it is handed the second as often as it was said, each with the same id.
    said = [env.message_id for env in prosumer.envelopes if isinstance(parse_body(env.body), MeterAttach)]
    assert len({*said}) == 2
    assert said.count(said[0]) == 1
    await prosumer.stop()


async def test_a_device_refuses_a_server_of_another_authority(installed, server, tmp_path):
    other = ensure_credentials(tmp_path / "other", server.connection.domain)
    changes = {"ca_pem": other.ca_file.read_text()}
    async with device(installed, server.connection, tmp_path, join=changes) as process:
        assert await asyncio.wait_for(process.wait(), 40) == 1
        assert b"certificate is not accepted" in await process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--join", "missing.json", "--source", "pipe:?unit=Wh"], "missing.json: cannot read the join file"),
        (["--join", "join.json", "--source", "pipe:"], "unit: found none"),
        (
            ["--join", "join.json", "--source", "pipe:?unit=Wh", "--server", "host:x"],
            "expected HOST or HOST:PORT",
        ),
        (["--join", "join.json", "--source", "csv:a.csv?load=a&unit=Wh"], "needs all of Peerwatt"),
        (["--join", "join.json", "--source", "mqtt://broker/a?unit=W"], "needs the library aiomqtt"),
        (["--join", "join.json", "--source", "pipe:?unit=Wh", "--role", "pv"], "role 'pv'"),
        (["--join", "bad.json", "--source", "pipe:?unit=Wh"], "bad.json: port: "),
    ],
)
def test_bad_input_is_refused_with_a_reason(installed, tmp_path, arguments, message):
    ca_pem = ensure_credentials(tmp_path / "ca", "example.org").ca_file.read_text()
    joining = Joining(
        member="m",
        prosumer="m@example.org",
        account="m.meter2",
        secret="s",
        domain="example.org",
        host="127.0.0.1",
        port=9,
        ca_pem=ca_pem,
        roles=["load"],
        clock=ClockConfig(kind="real-time"),
        sessions=[HORIZON],
    )
    joining.save(tmp_path / "join.json")
    assert (tmp_path / "join.json").stat().st_mode & 0o077 == 0
    (tmp_path / "bad.json").write_text(joining.model_copy(update={"port": 0}).model_dump_json())
    done = subprocess.run(
        [installed / "peerwatt-meter", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
