"""What tests of several folders share."""

import os
from pathlib import Path

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
