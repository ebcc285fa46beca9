"""Vehicles and appliances in tables, in plans for a person, and in reasons."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.planning.command import answer
from agents.planning.explain.load_reasons import load_reasons
from agents.planning.problem import PlanningProblem
from runtime.cli.plan import show
from runtime.devices import Appliance, ElectricVehicle
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.planned import PlanRequest
from runtime.preferences import BatteryAgeing
from runtime.results.explanation import load_sentence
from runtime.results.flexible_loads import flexible_table
from runtime.results.plan_tables import write_plan_tables
from runtime.results.reading import session_of
from runtime.scenario.resolve import resolve
from tests.machines.communities import Community

HORIZON = Horizon(start=datetime(2024, 6, 17, 22, tzinfo=UTC), zone="Europe/Paris", slot_minutes=60, slots=4)
CAR = ElectricVehicle(name="car", arrival_slot=0, departure_slot=3, energy_kwh=2.5, charge_limit_kw=2.0)
WASHER = Appliance(name="washer", energy_kwh=(1.0,), earliest_start_slot=1, latest_start_slot=3)

SCENARIO = """
[community]
name = "Flexible"
[horizon]
start = 2024-01-15T12:00:00
zone = "Europe/Paris"
slot_minutes = 60
[tariff]
import = [
    { from = "06:00", to = "22:00", price_eur_per_kwh = 0.30 },
    { from = "22:00", to = "06:00", price_eur_per_kwh = 0.15 },
]
export = 0.10
[[member]]
name = "house"
load = { constant = 0.5, unit = "kW" }
[member.battery]
capacity_kwh = 5
[[member.vehicle]]
name = "car"
arrival = "18:00"
departure = "07:00"
energy_kwh = 12
charge_limit_kw = 4
[[member.appliance]]
name = "washer"
power_kw = 1.0
minutes = 120
earliest = "18:00"
latest = "06:00"
"""


def reasons_of(strategy="optimised"):
    problem = PlanningProblem(np.ones(4), None, 1.0, np.array([0.3, 0.1, 0.2, 0.4]), np.full(4, 0.05))
    drawn = {"car": [0.0, 2.0, 0.5, 0.0], "washer": [0.0, 1.0, 0.0, 0.0]}
    net = 1.0 + np.sum(list(drawn.values()), axis=0)
    loads = [vars(load) for load in load_reasons(problem, net, drawn, [CAR], [WASHER])]
    reason = {"slot": 1, "action": "rest"}
    answer = {
        "strategy": strategy,
        "horizon": HORIZON.model_dump(mode="json"),
        "battery": None,
        "slots": [{**reason, "slot": slot} for slot in range(4)],
    }
    return answer, loads


def test_reasons_tell_what_a_load_pays_and_would_pay_elsewhere():
    answer, (car, washer) = reasons_of()
    assert car["dearest_paid_eur_per_kwh"] == pytest.approx(0.2)
    assert car["cheapest_left_eur_per_kwh"] == pytest.approx(0.2)
    assert (washer["start_slot"], washer["best_other_slot"]) == (1, 2)
    assert load_sentence(answer, car, 1) == (
        "Car charges 2 kWh: it pays 0.20 EUR/kWh at most until it leaves at 03:00; "
        "a kWh more in another slot of its stay would cost 0.20 EUR/kWh or more."
    )
    assert load_sentence(answer, washer, 1) == (
        "Washer draws 1 kWh of its run from 01:00: the run costs 0.1000 EUR then, "
        "0.2000 EUR from 02:00, the best other start."
    )


def test_reasons_of_members_that_do_not_optimise():
    answer, (car, washer) = reasons_of("rule")
    assert load_sentence(answer, car, 1).endswith("it charges as soon as it has arrived, at 00:00.")
    assert load_sentence(answer, washer, 1).endswith("it starts as soon as it may.")


def recorded():
    community = Community(3, members=2, slots=4)
    config = community.member_configs[0]
    (session,) = config.sessions
    session = session.model_copy(update={"vehicles": [CAR], "appliances": [WASHER]})
    community.member_configs[0] = config.model_copy(update={"sessions": [session]})
    return community.run()


def test_a_table_of_what_each_drew_and_when():
    coordinator, members = recorded()
    table = flexible_table(coordinator, members)
    assert list(table.columns) == ["session", "slot", "slot_start", "member", "flexible_load", "energy_kwh"]
    assert {row[3] for row in table.rows} == {"m0"}
    by_load = {name: sum(row[5] for row in table.rows if row[4] == name) for name in ("car", "washer")}
    assert by_load == pytest.approx({"car": 2.5, "washer": 1.0})
    assert all(row[5] > 0 for row in table.rows)


def test_a_record_of_another_length_is_refused():
    coordinator, members = recorded()
    own = members["m0"].sessions[0]
    short = own.model_copy(update={"flexible_kwh": {"car": [1.0]}})
    record = members["m0"].model_copy(update={"sessions": [short]})
    with pytest.raises(InputError, match=r"flexible_kwh.car: found 1 values, expected 4"):
        session_of(record, coordinator.sessions[0])


@pytest.mark.parametrize(
    ("objectives", "front"), [(["cost"], False), (["cost", "peak"], True), (["cost", "wear"], False)]
)
def test_plans_for_a_person_hold_and_show_them(tmp_path, capsys, objectives, front):
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    resolved = resolve(path)
    request = PlanRequest(
        member=resolved.member_config("house"),
        session=0,
        import_price_eur_per_kwh=[float(p) for p in resolved.import_price_eur_per_kwh[0]],
        export_price_eur_per_kwh=[float(p) for p in resolved.export_price_eur_per_kwh[0]],
        objectives=objectives,
        front=front,
        ageing=BatteryAgeing(),
    )
    found = answer(request)
    for plan in [*found.plans, found.idle]:
        flexible = np.sum(list(plan.flexible_kwh.values()), axis=0)
        assert sum(plan.flexible_kwh["car"]) == pytest.approx(12)
        np.testing.assert_allclose(
            plan.net_kwh, np.array(found.load_kwh) + flexible - plan.battery_kwh, atol=1e-9
        )
    assert found.idle.flexible_kwh["car"][6:9] == pytest.approx([4, 4, 4])
    # From 22:00 on, ten slots after noon, a kWh costs half.
    assert sum(found.plans[0].flexible_kwh["car"][10:18]) == pytest.approx(12)
    show(found)
    printed = capsys.readouterr().out
    assert "car: 12.000 kWh, 22:00 to" in printed
    assert "washer: 2.000 kWh, " in printed
    write_plan_tables(tmp_path / "out", found)
    if found.shown is not None:
        header, *rows = (tmp_path / "out" / "plan.csv").read_text().splitlines()
        place = header.split(",").index("flexible_kwh")
        assert sum(float(row.split(",")[place]) for row in rows) == pytest.approx(14)
    json.loads(found.model_dump_json())
