"""MQTT, HTTP and Modbus sources against real counterparts: mosquitto, an aiohttp and a pymodbus server."""

import asyncio
import contextlib
import json
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta

import aiomqtt
import pytest
from aiohttp import web
from live import free_port, listening
from meter_setup import meter_config
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agents.meters import live
from agents.meters.source import open_source
from runtime.errors import InputError

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(live, "FIRST_RETRY_S", 0.1)


# -- MQTT


class Broker:
    def __init__(self, folder):
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._process = None

    async def start(self):
        command = [MOSQUITTO, "-c", self._config]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    def stop(self):
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    async def publish(self, topic, *payloads, retain=False):
        async with aiomqtt.Client("127.0.0.1", self.port) as client:
            for payload in payloads:
                text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
                await client.publish(topic, text, qos=1, retain=retain)


@pytest.fixture
async def broker(tmp_path):
    assert MOSQUITTO, "the tests need Debian's mosquitto: make packages"
    made = Broker(tmp_path)
    await made.start()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("url", "topic", "payload", "key", "expected"),
    [
        ("plug/energy?unit=kWh", "plug/energy", "12.5", "register_kwh", 12.5),
        ("plug?path=a.b[1]&unit=Wh&kind=register", "plug", {"a": {"b": [0, "700"]}}, "register_kwh", 0.7),
        ("meter?path=p&unit=W&negate=true&role=pv", "meter", {"p": -250}, "power_kw", 0.25),
        ("ha?path=state&unit=W&unit_path=u", "ha", {"state": "1.5", "u": "kW"}, "power_kw", 1.5),
        ("shellies/x?preset=shelly-gen1-em", "shellies/x/emeter/0/power", "-3.25", "power_kw", -0.00325),
        (
            "shellies/x?preset=shelly-gen1-relay-energy&n=1",
            "shellies/x/relay/1/energy",
            "60000",
            "register_kwh",
            1,
        ),
        (
            *("s2?preset=shelly-gen2-switch", "s2/status/switch:0"),
            {"id": 0, "apower": 8.9, "aenergy": {"total": 6532.0, "by_minute": [45.1, 47.4, 88.4]}},
            *("register_kwh", 6.532),
        ),
        (
            *("s3?preset=shelly-gen2-em", "s3/status/emdata:0"),
            {"id": 0, "total_act": 1500.0, "total_act_ret": 2.0},
            *("register_kwh", 1.5),
        ),
        (
            *("tele/plug?preset=tasmota", "tele/plug/SENSOR"),
            {"Time": "2024-06-18T12:00:00", "ENERGY": {"Total": 3.185, "Power": 84, "Voltage": 230}},
            *("register_kwh", 3.185),
        ),
        (
            "zigbee2mqtt/plug?preset=zigbee2mqtt-power",
            "zigbee2mqtt/plug",
            {"power": 42, "energy": 1},
            "power_kw",
            0.042,
        ),
        ("ha/sensor/load?preset=homeassistant", "ha/sensor/load/state", "77.7", "register_kwh", 77.7),
    ],
)
async def test_mqtt_payloads_of_common_devices(broker, url, topic, payload, key, expected):
    async with listening(f"mqtt://127.0.0.1:{broker.port}/{url}") as meter:
        await meter.until("up")
        await broker.publish(topic, payload)
        (sample,) = await meter.until("sample")
    assert sample[key] == pytest.approx(expected)


async def test_mqtt_what_is_no_figure_is_refused_and_the_next_message_counts(broker):
    async with listening(f"mqtt://127.0.0.1:{broker.port}/plug?path=e&unit=kWh") as meter:
        await meter.until("up")
        bad = [
            "no json",
            {"f": 1},
            {"e": None},
            {"e": True},
            {"e": "NaN"},
            {"e": -1},
            "x" * 100_000,
            "[" * 5000,
        ]
        await broker.publish("plug", *bad, {"e": 3})
        (sample,) = await meter.until("sample")
        reasons = [detail["reason"] for detail in meter.of("refused")]
    assert sample["register_kwh"] == 3.0
    expected = [
        "expected JSON",
        "no 'e'",
        "a number, found 'None'",
        "a number, found 'True'",
        "finite",
        "0 or more",
    ]
    expected += ["found 100000 bytes", "expected JSON"]
    assert len(reasons) == len(expected)
    assert all(part in reason for part, reason in zip(expected, reasons, strict=True))


async def test_mqtt_the_devices_own_time_counts_and_a_clock_that_is_not_set_is_refused(broker):
    stamp = datetime.now(UTC) - timedelta(seconds=30)
    url = f"mqtt://127.0.0.1:{broker.port}/m?path=e&unit=kWh&time=at"
    async with listening(url) as meter:
        await meter.until("up")
        times = [
            "1970-01-01T00:00:05Z",
            (stamp + timedelta(hours=1)).isoformat(),
            "2024-06-18T12:00:00",
            "soon",
        ]
        times += [stamp.isoformat(), round(stamp.timestamp() * 1000)]
        await broker.publish("m", *({"e": 1, "at": at} for at in times))
        samples = await meter.until("sample", 2)
        reasons = [detail["reason"] for detail in meter.of("refused")]
    assert {sample["instant"][:19] for sample in samples} == {stamp.isoformat()[:19]}
    for part, reason in zip(("1970", "is fast", "offset from UTC", "ISO 8601"), reasons, strict=True):
        assert part in reason


async def test_mqtt_an_old_retained_message_is_no_sample(broker):
    await broker.publish("plug", "5", retain=True)
    async with listening(f"mqtt://127.0.0.1:{broker.port}/plug?unit=kWh") as meter:
        await meter.until("up")
        await broker.publish("plug", "6")
        await meter.until("sample")
        assert meter.raw == [6.0]


async def test_mqtt_a_broker_that_goes_is_found_again(broker):
    async with listening(f"mqtt://127.0.0.1:{broker.port}/plug?unit=kWh") as meter:
        await meter.until("up")
        await broker.publish("plug", "5")
        await meter.until("sample")
        broker.stop()
        (lost, *_) = await meter.until("down")
        assert f"127.0.0.1:{broker.port}" in lost["reason"]
        await broker.start()
        await meter.until("up", 2)
        await broker.publish("plug", "6")
        await meter.until("sample", 2)
        assert meter.raw == [5.0, 6.0]


# -- HTTP


@pytest.fixture
async def device():
    """An HTTP device; ``answers`` gives status and body by path and query."""
    asked, answers = [], {}

    async def answer(request):
        asked.append(request)
        found = answers.get(request.path_qs, (404, "not here"))
        status, body = found(len(asked)) if callable(found) else found
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield port, answers, asked
    await runner.cleanup()


SHELLY_EM = {
    "emeters": [{"power": -12.5, "total": 100.0}, {"power": 990.0, "total": 54321.5, "total_returned": 9.0}]
}
TASMOTA = {"StatusSNS": {"Time": "2024-06-18T12:00:00", "ENERGY": {"Total": 18.6, "Power": 84}}}
FRONIUS = {"Body": {"Data": {"Site": {"P_PV": 4210.5, "P_Grid": -12.0}}}, "Head": {}}


@pytest.mark.parametrize(
    ("query", "path", "answer", "key", "expected"),
    [
        ("preset=shelly-gen1-em&n=1", "/status", SHELLY_EM, "register_kwh", 54.3215),
        ("preset=shelly-gen1-em-power&n=1", "/status", SHELLY_EM, "power_kw", 0.99),
        ("preset=shelly-gen1", "/status", {"meters": [{"power": 3.1, "total": 120000}]}, "register_kwh", 2.0),
        (
            "preset=shelly-gen2-em",
            "/rpc/EMData.GetStatus?id=0",
            {"id": 0, "total_act": 9.5},
            "register_kwh",
            0.0095,
        ),
        ("preset=tasmota", "/cm?cmnd=Status%208", TASMOTA, "register_kwh", 18.6),
        ("preset=tasmota-10", "/cm?cmnd=Status%2010", TASMOTA, "register_kwh", 18.6),
        (
            "preset=esphome&device=house_energy",
            "/sensor/house_energy",
            {"id": "x", "value": 3.5},
            "register_kwh",
            3.5,
        ),
        (
            "preset=homewizard",
            "/api/v1/data",
            {"total_power_import_kwh": 13779.338},
            "register_kwh",
            13779.338,
        ),
        (
            "preset=fronius&role=pv",
            "/solar_api/v1/GetPowerFlowRealtimeData.fcgi",
            FRONIUS,
            "power_kw",
            4.2105,
        ),
        (
            "preset=homeassistant&device=sensor.load",
            "/api/states/sensor.load",
            {"state": "4.2"},
            "register_kwh",
            4.2,
        ),
    ],
)
async def test_http_answers_of_common_devices(device, query, path, answer, key, expected):
    port, answers, _ = device
    answers[path] = 200, answer
    async with listening(f"http://127.0.0.1:{port}?{query}&every=0.1") as meter:
        sample, *_ = await meter.until("sample")
    assert sample[key] == pytest.approx(expected)


async def test_http_any_address_and_a_token_from_the_environment(device, monkeypatch):
    port, answers, asked = device
    answers["/data/now?a=b+c&d=1"] = 200, {"list": [{"wh": 5}]}
    monkeypatch.setenv("METER_TOKEN", "s3cret")
    url = f"http://127.0.0.1:{port}/data/now?path=list[0].wh&unit=Wh&query=a%3Db%2Bc%26d%3D1&token_env=METER_TOKEN"
    async with listening(url) as meter:
        await meter.until("sample")
        assert meter.raw == [5.0]
    assert asked[0].headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(meter.source._feed)


async def test_http_errors_and_huge_answers_are_outages_or_refused_and_polling_goes_on(device):
    port, answers, asked = device
    bodies = {1: (500, ""), 2: (200, "x" * 1_000_000), 3: (200, "{}")}
    answers["/e"] = lambda count: bodies.get(count, (200, {"e": count}))
    async with listening(f"http://127.0.0.1:{port}/e?path=e&unit=kWh&every=0.05") as meter:
        await meter.until("sample", 3)
        assert "answered 500" in meter.of("down")[0]["reason"]
        reasons = [detail["reason"] for detail in meter.of("refused")]
        assert "expected at most 65536" in reasons[0]
        assert int(reasons[0].split()[1]) < 500_000  # the rest was not even read
        assert "found no 'e'" in reasons[1]
        assert meter.raw[:3] == [4.0, 5.0, 6.0]
    assert len(asked) < 20


async def test_http_a_device_that_is_not_there_is_asked_again():
    async with listening(f"http://127.0.0.1:{free_port()}/e?unit=kWh") as meter:
        lost = await meter.until("down", 2)
    assert lost[0]["reason"].endswith(": no connection: Connection refused")


# -- Modbus


def sunspec(*models):
    """Registers of a SunSpec map from 40000 on; each model: id, length, registers by offset."""
    registers = [0x5375, 0x6E53]
    for model, length, points in models:
        block = [model, length] + [0] * length
        for offset, words in points.items():
            block[offset : offset + len(words)] = words
        registers += block
    return [*registers, 0xFFFF, 0]


def words_of(form, value):
    raw = struct.pack(form, value)
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


@contextlib.asynccontextmanager
async def modbus(registers, address=40000, unit=7, port=None):
    data = SimData(address, values=registers, datatype=DataType.REGISTERS)
    port = port or free_port()
    server = ModbusTcpServer(SimDevice(unit, [data]), address=("127.0.0.1", port))
    serving = asyncio.create_task(server.serve_forever())
    try:
        await asyncio.sleep(0.1)
        yield port
    finally:
        await server.shutdown()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


COMMON = (1, 66, {})
INVERTER = (103, 50, {14: [431], 15: [1], 24: words_of(">I", 123456789), 26: [0]})
FLOAT_INVERTER = (113, 60, {22: words_of(">f", 1250.5), 32: words_of(">f", 8000.0)})
METER = (
    *(203, 105),
    {
        **{18: words_of(">h", -250), 22: words_of(">h", -1)},
        **{38: words_of(">I", 777), 46: words_of(">I", 1234567), 54: words_of(">h", 1)},
    },
)
BATTERY = (802, 62, {47: words_of(">h", -15), 63: [2]})


@pytest.mark.parametrize(
    ("query", "models", "key", "expected"),
    [
        ("role=pv", (COMMON, INVERTER, METER), "register_kwh", 123456.789),
        ("role=pv&kind=power&model=sunspec", (COMMON, INVERTER, METER), "power_kw", 4.31),
        ("role=pv&kind=power", (COMMON, FLOAT_INVERTER), "power_kw", 1.2505),
        ("role=pv&model=113", (COMMON, INVERTER, FLOAT_INVERTER), "register_kwh", 8.0),
        ("role=load", (COMMON, INVERTER, METER), "register_kwh", 12345.67),
        ("direction=export&model=203", (COMMON, METER), "register_kwh", 7.77),
        ("kind=power", (COMMON, METER), "power_kw", -0.025),
        ("kind=power&role=pv", (COMMON, METER), "power_kw", 0.025),
        ("kind=power&role=net", (COMMON, INVERTER, BATTERY, METER), "power_kw", -0.025),
        ("kind=power&role=battery", (COMMON, INVERTER, BATTERY, METER), "power_kw", -1.5),
        ("kind=power&role=battery&scale=-1", (COMMON, INVERTER, BATTERY), "power_kw", 1.5),
        ("kind=power&role=battery&model=203", (COMMON, BATTERY, METER), "power_kw", 0.025),
    ],
)
async def test_sunspec_models_are_found_and_read(query, models, key, expected):
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(modbus(sunspec(*models)))
        url = f"modbus-tcp://127.0.0.1:{port}/7?{query}&every=0.1"
        meter = await stack.enter_async_context(listening(url))
        sample, *_ = await meter.until("sample")
    assert sample[key] == pytest.approx(expected)


@pytest.mark.parametrize(("role", "expected"), [("net", [12345.67, 7.77]), ("battery", [7.77, 12345.67])])
async def test_both_registers_of_a_sunspec_meter_are_read(role, expected):
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(modbus(sunspec(COMMON, INVERTER, METER)))
        url = f"modbus-tcp://127.0.0.1:{port}/7?role={role}&every=0.1"
        meter = await stack.enter_async_context(listening(url))
        samples = await meter.until("sample", 2)
    assert [sample["register_kwh"] for sample in samples[:2]] == pytest.approx(expected)


async def test_sunspec_points_that_are_not_implemented_are_refused_and_missing_models_named():
    silent = (103, 50, {14: [0x8000], 15: [0]})
    async with modbus(sunspec(COMMON, silent)) as port:
        async with listening(f"modbus-tcp://127.0.0.1:{port}/7?role=pv&kind=power&every=0.1") as meter:
            (refused, *_) = await meter.until("refused")
            assert "does not implement" in refused["reason"]
        async with listening(f"modbus-tcp://127.0.0.1:{port}/7?every=0.1") as meter:
            (lost, *_) = await meter.until("down")
            assert "found the models [1, 103], expected one that tells it" in lost["reason"]
    async with modbus([0] * 50) as port, listening(f"modbus-tcp://127.0.0.1:{port}/7") as meter:
        (lost, *_) = await meter.until("down")
        assert "found no SunSpec map at 40000, 50000, 0" in lost["reason"]


@pytest.mark.parametrize(
    ("query", "words", "expected"),
    [
        ("type=float32&unit=kWh", words_of(">f", 1234.5), 1234.5),
        ("type=float32&unit=kWh&words=little", words_of(">f", 1234.5)[::-1], 1234.5),
        ("type=uint32&unit=Wh&scale=10", words_of(">I", 70000), 700.0),
        ("type=uint64&unit=Wh", words_of(">Q", 5_000_000), 5000.0),
    ],
)
async def test_any_register_of_a_modbus_device(query, words, expected):
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(modbus(words, address=342, unit=1))
        url = f"modbus-tcp://127.0.0.1:{port}/1?address=342&{query}&every=0.1"
        meter = await stack.enter_async_context(listening(url))
        sample, *_ = await meter.until("sample")
    assert sample["register_kwh"] == pytest.approx(expected)


async def test_a_modbus_device_that_goes_is_found_again():
    port = free_port()
    async with listening(f"modbus-tcp://127.0.0.1:{port}/7?role=pv&every=0.1&timeout=0.5") as meter:
        await meter.until("down")
        async with modbus(sunspec(COMMON, INVERTER), port=port):
            await meter.until("sample")
        await meter.until("down", len(meter.of("down")) + 1)
        before = len(meter.raw)
        async with modbus(sunspec(COMMON, INVERTER), port=port):
            await meter.until("sample", before + 1)


# -- what cannot be


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mqtt://host?unit=kWh", "expected a topic after the broker"),
        ("mqtt:topic?unit=kWh", "expected mqtt://host/"),
        ("mqtt://host/a/%23?unit=kWh", "expected one without wildcards"),
        ("mqtt://user:pw@host/a?unit=kWh", "found a password"),
        (
            "mqtt://host/a?unit=kWh&password_env=NO_SUCH_VARIABLE",
            "no environment variable 'NO_SUCH_VARIABLE'",
        ),
        ("mqtt://host/a", "unit: found none"),
        ("mqtt://host/a?unit=V", "found the unit 'V', expected one of W, kW"),
        ("mqtt://host/a?unit=W&kind=register", "kind: found 'register', but W is a power"),
        ("mqtt://host/a?preset=toaster", "preset: found 'toaster', expected one of shelly-gen1"),
        ("mqtt://host/a?unit=W&path=a..b", "expected names and"),
        ("mqtt://host/a?unit=W&role=heat", "role: .*found 'heat'"),
        ("mqtt://host/a?unit=W&grace=-1", "grace: .*found '-1'"),
        ("http:///a?unit=W", "expected http://host"),
        ("http://host:port/a?unit=W", "Port could not be cast"),
        ("http://host?preset=esphome", "device: the preset esphome needs its name"),
        ("http://host/a?unit=W&token_env=NO_SUCH_VARIABLE", "no environment variable"),
        ("modbus-tcp://host/unit", "found the unit 'unit', expected 0 to 255"),
        ("modbus-tcp://host/1?model=999", "found '999', expected auto or one of 101"),
        ("modbus-tcp://host/1?model=103&role=net", "model 103 does not tell the register of energy taken"),
        (
            "modbus-tcp://host/1?model=802&role=battery",
            "model 802 does not tell the register",
        ),
        ("modbus-tcp://host/1?role=net&direction=import", "direction: role 'net' is of both"),
        ("modbus-tcp://host/1?role=net&address=3&unit=kWh", "goes either way, found one register"),
        ("modbus-rtu://host:502/1", "expected a serial device"),
        ("modbus-rtu:ttyUSB0", "expected a serial device"),
        ("modbus-rtu:/etc/hostname", "expected a serial device"),
        ("modbus-rtu:/dev/ttyS0?id=256", "id: .*found '256'"),
        ("modbus-tcp://host/1?model=103", "model 103 does not tell the register of energy taken"),
        ("modbus-tcp://host/1?address=3", "found the unit '', expected one of"),
        ("p1://host", "expected p1://host:port"),
        ("p1:", "expected p1://host:port or p1:/dev/ttyUSB0"),
        ("p1:/etc/hostname", "/etc/hostname is no serial device"),
        ("p1://host:1?version=9", "version: .*found '9'"),
        ("tic://host:1?mode=historic&role=pv", "tells energy taken only"),
        ("sml://host:1?kind=work", "kind: .*found 'work'"),
    ],
)
def test_bad_urls_are_refused_before_anything_starts(url, message):
    with pytest.raises(InputError, match=message):
        open_source(url, meter_config())


def test_a_missing_library_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    monkeypatch.delitem(sys.modules, "agents.meters.devices.mqtt", raising=False)
    with pytest.raises(InputError, match=r"needs the library aiomqtt: pip install 'peerwatt\[meters\]'"):
        open_source("mqtt://host/a?unit=W", meter_config())
