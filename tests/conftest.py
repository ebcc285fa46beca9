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


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests, a file stays together; all of containers share an engine."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = super()._split_scope(nodeid)
            return "tests/docker" if path.startswith("tests/docker/") else path

    return Together(config, log)
