"""What tests of several folders share."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # solvers that share two cores with each other, as agents' do
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# How long an example takes on a busy machine says nothing about the code; speed is measured in benchmarks.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def lorient_folder() -> Path:
    """Folder of the paper's data: PEERWATT_LORIENT, or shared/lorient beside the repository."""
    named = os.environ.get("PEERWATT_LORIENT")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "lorient"
    assert (folder / "Forecasted").is_dir(), (
        f"no Lorient data in {folder}; name the folder in PEERWATT_LORIENT"
    )
    return folder


# What takes longest begins first, so that no process is left alone with it at the end.
LONGEST_FIRST = [
    "tests/docker",
    "tests/end_to_end/test_resume.py",
    "tests/end_to_end/test_on_ejabberd.py",
    "tests/end_to_end/test_faults.py",
    "tests/end_to_end/test_setpoints_of_a_fleet.py",
    "tests/drills/test_drill_command.py",
    "tests/end_to_end/test_on_existing_server.py",
    "tests/end_to_end/test_lorient_day.py",
    "tests/end_to_end/test_on_prosody.py",
    "tests/end_to_end/test_packed_members.py",
    "tests/end_to_end/test_hybrid_fleet.py",
    "tests/end_to_end/test_bilateral_fleet.py",
    "tests/comparison/test_compare_command.py",
    "tests/comparison/test_set_command.py",
    "tests/bench/test_bench_fleet.py",
    "tests/replication/test_replicate_command.py",
    "tests/deployment/test_market_under_attack.py",
    "tests/end_to_end/test_day_of_meters.py",
    "tests/deployment/test_thief_in_the_market.py",
    "tests/end_to_end/test_live_meter.py",
    "tests/end_to_end/test_watching_a_fleet.py",
    "tests/bench/test_bench_servers.py",
    "tests/end_to_end/test_live_run.py",
    "tests/end_to_end/test_device_joins.py",
    "tests/end_to_end/test_meter_attach.py",
    "tests/end_to_end/test_dashboard_of_a_fleet.py",
]


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests, a file stays together; all of containers share an engine."""
    from xdist.scheduler import LoadFileScheduling

    if gone := [name for name in LONGEST_FIRST if not (config.rootpath / name).exists()]:
        raise pytest.UsageError(f"{__file__}: LONGEST_FIRST: there is no {', '.join(gone)}")
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    class LongestFirst(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = super()._split_scope(nodeid)
            return "tests/docker" if path.startswith("tests/docker/") else path

        def _assign_work_unit(self, node: Any) -> None:
            first = min(self.workqueue, key=lambda scope: places.get(scope, len(places)))
            self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

    return LongestFirst(config, log)
