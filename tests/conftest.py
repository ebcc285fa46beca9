"""What tests of several folders share."""

import os
from pathlib import Path

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


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, a file stays together; all of containers share an engine."""
    for item in items:
        folder = item.path.parent
        together = folder if folder.name == "docker" else item.path
        item.add_marker(pytest.mark.xdist_group(str(together)))
