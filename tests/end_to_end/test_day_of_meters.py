"""A day at high speed with three kinds of device and a file: the ledger has what their registers counted."""

from __future__ import annotations

import csv
import json
import socketserver
import threading
import time
from collections import defaultdict
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import verify
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import RunDirectory
from tests.agents.meters.telegrams import p1_of
from tests.end_to_end.fleets import call, fleet, ledger_of
from tests.end_to_end.mqtt_device import TOPIC, Broker, Device

SLOTS = 36
SLOT_S = 0.8
FAILS_AT, BACK_AT, STANDS_AT = 10, 17, 29
SCENARIO = """
seed = 5
mechanism = "mid-market-rate"

[community]
name = "three kinds of meters"

[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 30
slots = {slots}

[tariff]
import = 0.25
export = 0.05

[clock]
kind = "real-time"
speed = {speed}

[timing]
correction_window_s = 3

[[member]]
name = "school"
load = {{ constant = 3.0, unit = "kW" }}
[[member.meter]]
source = "mqtt://127.0.0.1:{mqtt}/{topic}?path=total&unit=kWh&grace=0.5"
roles = ["load"]

[[member]]
name = "house"
load = {{ constant = 2.0, unit = "kW" }}
[[member.meter]]
source = "http://127.0.0.1:{http}/status?path=meters[0].total&unit=Wh&every=0.1&timeout=1&grace=0.5"
roles = ["load"]

[[member]]
name = "farm"
load = {{ constant = 1.0, unit = "kW" }}
pv = {{ production = {{ constant = 4.0, unit = "kW" }} }}
[[member.meter]]
source = "p1://127.0.0.1:{p1}?grace=0.5"
roles = ["load"]
[[member.meter]]
source = "csv:sun.csv?pv=pv&unit=kWh"
roles = ["pv"]
"""


class Register:
    """Counts energy in whole watt-hours while it runs; stands still before and after."""

    def __init__(self, first_wh: int, wh_per_s: float) -> None:
        self.first_wh = first_wh
        self._wh_per_s = wh_per_s
        self._began_s: float | None = None
        self._stood_s: float | None = None

    def run(self) -> None:
        self._began_s = time.monotonic()

    def stand(self) -> None:
        self._stood_s = time.monotonic()

    @property
    def wh(self) -> int:
        if self._began_s is None:
            return self.first_wh
        until_s = self._stood_s or time.monotonic()
        return self.first_wh + int(self._wh_per_s * (until_s - self._began_s))

    @property
    def counted_kwh(self) -> Decimal:
        return Decimal(self.wh - self.first_wh) / 1000


class MqttRegister(Device):
    def __init__(self, port: int, register: Register) -> None:
        super().__init__(port, 0.0, every_s=0.05)
        self._register = register

    def register_kwh(self) -> float:
        return self._register.wh / 1000


class HttpDevice:
    """Tells its register as JSON; while it is away nothing listens on its port, and it goes on counting."""

    def __init__(self, register: Register) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"meters": [{"total": register.wh}]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.come()

    def come(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def go(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class P1Device:
    """Sends a telegram several times a slot to whoever connects."""

    def __init__(self, register: Register) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    while True:
                        self.request.sendall(p1_of(register.wh / 1000, 0.0))
                        time.sleep(0.1)
                except OSError:
                    return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def go(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def devices(tmp_path):
    broker = Broker(tmp_path)
    broker.start()
    registers = {
        "school": Register(1_234_567, 1900),
        "house": Register(98_765, 1100),
        "farm": Register(5, 700),
    }
    http, p1 = HttpDevice(registers["house"]), P1Device(registers["farm"])
    with MqttRegister(broker.port, registers["school"]):
        yield broker, http, p1, registers
    http.go()
    p1.go()
    broker.stop()


def energy_kwh(run, member):
    """What a member took by the ledger, less what it gave, and of it the corrections, exactly."""
    sign = {"local-purchase": 1, "grid-import": 1, "local-sale": -1, "grid-export": -1}
    total, corrected = Decimal(0), Decimal(0)
    for row in ledger_of(run):
        if row["member"] != member:
            continue
        if row["kind"] == "correction":
            more = Decimal(row["energy_kwh"]) * (1 if row["debit"] == f"member:{member}" else -1)
            corrected += more
            total += more
        else:
            total += sign[row["kind"]] * Decimal(row["energy_kwh"])
    return total, corrected


def test_a_day_with_three_kinds_of_device_one_of_them_failing_has_their_registers_in_the_ledger(
    tmp_path, devices
):
    broker, http, p1, registers = devices
    sun = [Decimal(max(0, 20 - abs(24 - slot))) / 8 for slot in range(SLOTS)]
    (tmp_path / "sun.csv").write_text("pv\n" + "".join(f"{value}\n" for value in sun))
    (tmp_path / "day.toml").write_text(
        SCENARIO.format(
            slots=SLOTS, speed=1800 / SLOT_S, topic=TOPIC, mqtt=broker.port, http=http.port, p1=p1.port
        )
    )
    with fleet(tmp_path / "day.toml", tmp_path / "runs", name="day") as run:
        run.await_slot(2)
        for register in registers.values():
            register.run()
        run.await_slot(FAILS_AT)
        http.go()
        run.await_slot(BACK_AT)
        http.come()
        run.await_slot(STANDS_AT)
        for register in registers.values():
            register.stand()
        run.succeed()

    directory = RunDirectory(tmp_path / "runs" / "day")
    settled = CoordinatorRecord.load(directory.coordinator_record).sessions[0]
    given_kwh = {"school": Decimal(0), "house": Decimal(0), "farm": sum(sun)}
    for member, register in registers.items():
        total_kwh, corrected_kwh = energy_kwh(directory.path, member)
        assert total_kwh == register.counted_kwh - given_kwh[member], member
        assert register.counted_kwh > 10
        if member == "house":
            assert corrected_kwh != 0
        deliveries = [each for each in settled.deliveries if each.member == member]
        assert [each.slot for each in deliveries] == list(range(SLOTS))
        assert {meter for each in deliveries for meter in each.meters} == {f"{member}.meter"}

    # Slots of the outage were settled with the forecast, marked, and corrected once the register was heard.
    house = {each.slot: each for each in settled.deliveries if each.member == "house"}
    outage = [slot for slot, each in house.items() if each.settled_quality == "estimated"]
    assert len([slot for slot in outage if FAILS_AT < slot < BACK_AT]) >= 4
    without = [slot for slot in outage if house[slot].as_settled.net_kwh == 1]
    assert len(without) >= 3
    assert {house[slot].quality for slot in without} == {"estimated"}
    rows = defaultdict(list)
    with (directory.path / "ledger.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["member"] == "house":
                rows[int(row["slot"]), row["kind"]].append(row)
    for slot in without:
        (settled_row,) = rows[slot, "grid-import"] or rows[slot, "local-purchase"][:1]
        assert (settled_row["quality"], settled_row["meters"]) == ("estimated", "")
        assert rows[slot, "correction"][0]["meters"] == "house.meter"
    own = MemberRecord.load(directory.member_record("house")).sessions[0]
    assert {*without} <= {*own.corrected_slots}
    others = [e for e in settled.ledger if e.kind == "correction" and e.member != "house"]
    assert sum((abs(e.energy_kwh) for e in others), Decimal(0)) < 2

    assert verify(log_paths(directory.logs_dir)) == []
    done = call("verify", directory.path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    for member in registers:
        assert call("verify", directory.path, "--member", member).returncode == 0
