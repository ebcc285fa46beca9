"""Devices on pseudo-terminals: telegrams (over TCP too) with right and wrong checksums, cut lines, Modbus."""

import asyncio
import contextlib
import os
import pty
import tty

import pytest
from live import listening
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice
from telegrams import p1_of, sml, tic

from agents.meters import live


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(live, "FIRST_RETRY_S", 0.1)


@pytest.fixture
def line():
    """A serial line: the meter's end, and the device file of the other."""
    meter_end, our_end = pty.openpty()
    yield meter_end, os.ttyname(our_end)
    for end in (meter_end, our_end):
        with contextlib.suppress(OSError):
            os.close(end)


def p1_at(kwh, wrong=False):
    return p1_of(kwh, 1.0, **({"checksum": 0xBAD} if wrong else {}))


def sml_at(kwh, wrong=False):
    return sml([("1-0:1.8.0", 30, 0, int(kwh * 1000))], wrong)


def tic_at(kwh, wrong=False):
    return tic([("EAST", f"{int(kwh * 1000):09d}")], "standard", wrong="EAST" if wrong else "")


def historic_at(kwh, wrong=False):
    return tic([("BASE", f"{int(kwh * 1000):09d}")], "historic", wrong="BASE" if wrong else "")


KINDS = {
    "p1": ("p1:{}", p1_at, 1.0),
    "sml": ("sml:{}", sml_at, 0.0),
    "tic": ("tic:{}", tic_at, 0.0),
    "tic-historic": ("tic:{}?mode=historic", historic_at, 0.0),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_telegrams_of_a_serial_line_count_only_with_the_right_checksum(line, kind):
    url, telegram, more_kwh = KINDS[kind]
    meter_end, device = line
    async with listening(url.format(device)) as meter:
        await meter.until("up")
        os.write(meter_end, telegram(9.0)[-10:])  # the end of one that was under way
        os.write(meter_end, telegram(10.0))
        await meter.until("sample", 1)
        os.write(meter_end, telegram(666.0, wrong=True))
        await meter.until("refused", 1)
        half = telegram(10.5)
        os.write(meter_end, half[:17])
        await asyncio.sleep(0.05)
        os.write(meter_end, half[17:])
        samples = await meter.until("sample", 2)
        refused = meter.of("refused")
    assert [sample["register_kwh"] - more_kwh for sample in samples] == [10.0, 10.5]
    assert "checksum" in refused[-1]["reason"]


async def test_a_gateway_that_hangs_up_is_called_again_and_a_silent_one_is_an_outage():
    calls = 0

    async def gateway(reader, writer):
        nonlocal calls
        calls += 1
        writer.write(p1_at(10.0 + calls))
        await writer.drain()
        if calls == 1:
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(gateway, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with listening(f"p1://127.0.0.1:{port}?silence=0.4") as meter:
        samples = await meter.until("sample", 3)
        lost = [detail["reason"] for detail in meter.of("down")]
    server.close()
    assert [sample["register_kwh"] for sample in samples][:3] == [12.0, 13.0, 14.0]
    assert lost == [f"127.0.0.1:{port}: closed", f"127.0.0.1:{port}: silent for 0.4 s"]


async def test_a_cable_that_is_pulled_is_an_outage_not_a_crash(line):
    meter_end, device = line
    async with listening(f"sml:{device}") as meter:
        await meter.until("up")
        os.write(meter_end, sml_at(5.0))
        await meter.until("sample")
        os.close(meter_end)
        (lost, *_) = await meter.until("down", 2)
    assert device in lost["reason"]


async def test_a_device_that_is_not_there_is_an_outage():
    async with listening("tic:/dev/ttyNOSUCH0") as meter:
        (lost, *_) = await meter.until("down")
    assert "/dev/ttyNOSUCH0" in lost["reason"]


# -- Modbus


@contextlib.asynccontextmanager
async def modbus_line(registers, unit):
    """A Modbus device on a serial line; the device file at the other end of the line."""
    ends, places, loop = [], [], asyncio.get_running_loop()
    for _ in range(2):
        wire, terminal = pty.openpty()
        tty.setraw(terminal)
        ends += [wire, terminal]
        places.append(os.ttyname(terminal))
    for here, there in ((ends[0], ends[2]), (ends[2], ends[0])):
        loop.add_reader(here, lambda here=here, there=there: os.write(there, os.read(here, 4096)))
    data = SimData(40000, values=registers, datatype=DataType.REGISTERS)
    server = ModbusSerialServer(SimDevice(unit, [data]), port=places[0], baudrate=9600)
    serving = asyncio.create_task(server.serve_forever())
    try:
        await asyncio.sleep(0.1)
        yield places[1]
    finally:
        await server.shutdown()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        for end in ends:
            loop.remove_reader(end)
            os.close(end)


async def test_a_modbus_device_on_a_serial_line_is_read():
    inverter = [0x5375, 0x6E53, 103, 50, *[0] * 12, 431, 1, *[0] * 36, 0xFFFF, 0]
    async with modbus_line(inverter, unit=7) as place:
        async with listening(f"modbus-rtu:{place}?id=7&role=pv&kind=power&every=0.1") as meter:
            sample, *_ = await meter.until("sample")
        async with listening(f"modbus-rtu:{place}?id=3&role=pv&kind=power&timeout=0.3") as meter:
            lost, *_ = await meter.until("down")
    assert sample["power_kw"] == pytest.approx(4.31)
    assert place in lost["reason"]


async def test_a_serial_line_that_is_not_there_is_said():
    async with listening("modbus-rtu:/dev/ttyNONE?id=7&timeout=0.3") as meter:
        lost, *_ = await meter.until("down")
    assert "/dev/ttyNONE" in lost["reason"]
