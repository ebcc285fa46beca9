"""A member declares devices that nobody can plan for: it is refused, and the others are planned for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from coordinator import optimum
from runtime.errors import InputError
from runtime.protocol.bodies import Reason, parse_body
from runtime.protocol.envelope import Envelope
from runtime.records import CoordinatorRecord
from runtime.results.ledger import check_ledger
from tests.machines.communities import DOMAIN, Community
from tests.machines.network import Network

SLOTS = 4
BATTERY = {"capacity_kwh": 10, "soc_min": 0.1, "soc_max": 0.9, "soc_start": 0.5}
CAR = {"name": "car", "arrival_slot": 0, "departure_slot": 3, "energy_kwh": 5, "charge_limit_kw": 11}
RUN = {"name": "dryer", "energy_kwh": [1, 1], "earliest_start_slot": 0, "latest_start_slot": 2}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a battery that cannot be full in time": (
        {"battery": {**BATTERY, "soc_end_min": 0.9, "charge_limit_kw": 0.1}},
        "battery: found 5 kWh stored at the start, expected at least 8.8 kWh",
    ),
    "a car that cannot be charged in time": (
        {"vehicles": [{**CAR, "energy_kwh": 500}]},
        "car: found 0 kWh stored at the start",
    ),
    "a car that leaves after the session": ({"vehicles": [{**CAR, "departure_slot": 9}]}, "departure_slot 9"),
    "a run that ends after the session": (
        {"appliances": [{**RUN, "latest_start_slot": 3}]},
        "dryer: found 2 slots from slot 3 on, expected it to end within 4 slots",
    ),
    "a battery of a power station's size": (
        {"battery": {**BATTERY, "capacity_kwh": 1e308}},
        "battery: found 1e+308 kWh, expected at most 1e+06",
    ),
    "a run of a power station's size": (
        {"appliances": [{**RUN, "energy_kwh": [1, 1e300]}]},
        "dryer: found 1e+300 kWh",
    ),
    "a battery that loses all": (
        {"battery": {**BATTERY, "discharge_efficiency": 1e-300}},
        "battery: found an efficiency of 1e-300, expected at least 0.01",
    ),
}


@dataclass
class DeclaringNetwork(Network):
    """Changes what one member declares."""

    change: Callable[[dict[str, Any]], dict[str, Any]] = field(default=dict)
    refusals: list[str] = field(default_factory=list)

    def _deliver(self, envelope: Envelope) -> None:
        if envelope.sender == f"m1@{DOMAIN}":
            fields = json.loads(envelope.body)
            if fields["type"] == "declaration":
                envelope = replace(envelope, body=json.dumps(self.change(fields)))
        if envelope.recipient == f"m1@{DOMAIN}":
            body = parse_body(envelope.body)
            self.refusals += [body.reason] if isinstance(body, Reason) else []
        super()._deliver(envelope)


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_planned_for_is_refused_and_the_others_are_planned_for(what: str) -> None:
    devices, reason = REFUSED[what]
    network = DeclaringNetwork(change=lambda fields: {**fields, **devices})
    record, _ = Community(3, members=4, slots=SLOTS, mechanism="coordinated").run(network)
    check_ledger(record)
    (session,) = record.sessions
    assert [reason in each for each in network.refusals] == [True]
    assert [(each.number, each.late) for each in session.rounds] == [(0, []), (1, ["m1"])]
    assert session.agreed_net_kwh["m1"] == session.rounds[0].net_kwh["m1"]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_can_be_declared_the_community_comes_to_its_end(seed: int) -> None:
    rng = random.Random(seed)

    def any_number() -> float:
        return rng.choice([1e-300, 1e-12, 1e-3, 0.5, 1.0, 3.0, 1e3, 1e6, 1e300])

    def change(fields: dict[str, Any]) -> dict[str, Any]:
        battery = {
            **BATTERY,
            "capacity_kwh": any_number(),
            "soc_end_min": rng.choice([None, 0.1, 0.9]),
            "charge_efficiency": rng.choice([1.0, 0.95, 0.02]),
            "discharge_efficiency": rng.choice([1.0, 0.95, 0.02]),
            "charge_limit_kw": rng.choice([None, any_number()]),
            "discharge_limit_kw": rng.choice([None, any_number()]),
        }
        cars = [
            {**CAR, "energy_kwh": min(1e6, any_number()), "charge_limit_kw": any_number()}
            for _ in range(rng.choice([0, 1, 20]))
        ]
        runs = [{**RUN, "energy_kwh": [min(1e6, any_number()) for _ in range(2)]} for _ in range(2)]
        residual = [rng.choice([-1e6, 1e6, 0.0, 1e-300]) for _ in range(SLOTS)]
        return {
            **fields,
            "battery": battery,
            "vehicles": cars,
            "appliances": runs,
            "residual_load_kwh": residual,
        }

    network = DeclaringNetwork(change=change)
    record, _ = Community(seed, members=3, slots=SLOTS, mechanism="coordinated").run(network)
    check_ledger(record)


def planned(record: CoordinatorRecord, member: str) -> bool:
    """Whether the coordinator planned otherwise for a member than it had alone."""
    (session,) = record.sessions
    return session.agreed_net_kwh[member] != session.rounds[0].net_kwh[member]


@pytest.mark.parametrize("fails", ["one", "all"])
def test_who_makes_the_solver_fail_is_left_out(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """What no check of one device finds: the numbers of all together."""
    solve = optimum.optimise

    def optimise(residual_kwh: Any, stores: Any, *arguments: Any, **options: Any) -> Any:
        if fails == "all" or any(store.stored_max_kwh[0] == 666.0 for own in stores for store in own):
            raise InputError("stores: no plan keeps all bounds")
        return solve(residual_kwh, stores, *arguments, **options)

    monkeypatch.setattr(optimum, "optimise", optimise)

    def change(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "battery": {**BATTERY, "capacity_kwh": 666.0, "soc_max": 1.0}}

    network = DeclaringNetwork(change=change)
    community = Community(
        3, members=4, slots=SLOTS, mechanism="coordinated", parameters={"opt_out_passes": 0}
    )
    record, _ = community.run(network)
    check_ledger(record)
    assert network.refusals == []
    assert not planned(record, "m1")
    assert any(planned(record, name) for name in record.members) == (fails == "one")
