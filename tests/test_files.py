"""Files on a disk that is full: nothing half-written, and a reason that names the file."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.cli import main
from runtime.files import no_room, write_text_atomically
from runtime.results.database import write_database

INDICATORS = {"definitions": {}, "run": {"community": {}, "members": {}}, "sessions": []}


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files of this process may not grow beyond one byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "bills.csv"
    write_text_atomically(path, "1")
    with pytest.raises(OSError, match="File too large") as refused:
        write_text_atomically(path, "another")
    assert no_room(refused.value) == f"{path}: cannot be written: File too large"
    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_no_half_database(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with pytest.raises(OSError, match=r"results\.sqlite") as refused:
        write_database(path, [], INDICATORS)
    assert (no_room(refused.value) or "").startswith(f"{path}: cannot be written: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, "none", "a"), ValueError("no number")], ids=["missing", "other"]
)
def test_other_errors_are_no_matter_of_the_disk(error: Exception) -> None:
    assert no_room(error) is None


AGENT_ON_A_FULL_DISK = """
import errno, sys
from runtime.process import PrintingWatcher, serve

def agents():
    raise OSError(errno.ENOSPC, "No space left on device", "records/coordinator.json")

sys.exit(serve(agents, PrintingWatcher()))
"""


def test_an_agent_on_a_full_disk_gives_up_with_the_reason() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AGENT_ON_A_FULL_DISK], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "records/coordinator.json: cannot be written: No space left on device" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_command_on_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def report(_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "prices.csv")

    monkeypatch.setattr("runtime.cli.carry_out", report)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: prices.csv: cannot be written: No space left on device\n"
