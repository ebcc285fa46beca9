"""Batteries run in processes of their own: the right answers in the right order, and nobody left behind."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from runtime.devices import Battery
from runtime.errors import InputError
from runtime.replication.request import BuildingDay, StorageRequest
from runtime.replication.storage import run_storage, stored_kwh

SLOTS = 12
BATTERY = Battery(capacity_kwh=4.0)


def day(name: str, pv_kwh: float = 0.0, slots: int = SLOTS) -> BuildingDay:
    return BuildingDay(
        name=name,
        load_kwh=[1.0] * slots,
        pv_kwh=[0.0] * 4 + [pv_kwh] * 4 + [0.0] * 4,
        battery=BATTERY,
        slot_hours=1.0,
        import_price_eur_per_kwh=[0.1, 0.3] * (slots // 2),
        export_price_eur_per_kwh=[0.05] * slots,
    )


def test_every_request_gets_its_answer_in_order() -> None:
    said: list[str] = []
    answers = run_storage(
        [
            StorageRequest(method="rule", days=[day("dark"), day("sunny", 2.0)]),
            StorageRequest(method="optimised", days=[day("dark")]),
            StorageRequest(method="genetic", days=[day("late")], generations=4),
        ],
        said.append,
    )
    assert [[found.name for found in answer.days] for answer in answers] == [
        ["dark", "sunny"],
        ["dark"],
        ["late"],
    ]
    rule = stored_kwh(answers[0].days)
    # 2 kWh less the 0.8 that stay, then a surplus of 1 kWh a slot
    assert rule.shape == (SLOTS, 2)
    assert rule[:, 0].tolist() == pytest.approx([1.0] + [0.8] * 11)
    assert rule[:, 1].tolist() == pytest.approx([1.0, 0.8, 0.8, 0.8, 1.8, 2.8, 3.2, 3.2, 2.2, 1.2, 0.8, 0.8])
    dark, optimised, genetic = answers[0].days[0], answers[1].days[0], answers[2].days[0]
    assert dark.objective_eur < dark.idle_objective_eur == pytest.approx(2.4)
    assert optimised.objective_eur < dark.objective_eur
    assert dark.feasible is None
    assert genetic.feasible is not None
    assert genetic.worst_balance_kwh is not None
    assert all(BATTERY.stored_min_kwh <= kwh <= BATTERY.stored_max_kwh for kwh in genetic.stored_energy_kwh)
    assert said[-1].endswith("late: generation 4/4")


def test_what_does_not_fit_together_is_refused() -> None:
    short = day("short").model_copy(update={"import_price_eur_per_kwh": [0.1]})
    with pytest.raises(InputError, match=r"rule: import_price_eur_per_kwh.*12.*1"):
        run_storage([StorageRequest(method="rule", days=[short])])


def test_nobody_is_left_behind_when_it_is_interrupted() -> None:
    def interrupt(text: str) -> None:
        started.extend(set(psutil.Process().children()) - others)
        raise KeyboardInterrupt

    others = set(psutil.Process().children())  # such as a server that other tests share
    started: list[psutil.Process] = []
    endless = StorageRequest(method="genetic", days=[day("endless")], generations=40)
    with pytest.raises(KeyboardInterrupt):
        run_storage([endless, endless, endless], interrupt)
    assert len(started) == 2
    assert not any(process.is_running() for process in started)


def test_the_genetic_algorithm_repeats_itself() -> None:
    request = StorageRequest(method="genetic", days=[day("again", 2.0)], generations=3)
    first, second = run_storage([request, request])
    assert np.array_equal(stored_kwh(first.days), stored_kwh(second.days))
