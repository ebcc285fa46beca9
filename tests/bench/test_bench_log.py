import json
from pathlib import Path

from typer.testing import CliRunner

from runtime.bench.day_of_logs import RARE_TEXT, write_day
from runtime.cli import app
from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import check_logs

runner = CliRunner()


def test_the_logs_of_a_day_are_whole_and_as_many_as_counted(tmp_path: Path) -> None:
    day = write_day(tmp_path, members=2, slots=5, rounds=3)
    check = check_logs(log_paths(tmp_path))
    assert check.findings == []
    assert (day.logs, day.messages, day.records) == (7, 2 * (5 * 7 + 3 * 2) + 1, 2 * day.messages)
    assert len(check.audit.tally) == day.messages
    assert day.bytes == sum(path.stat().st_size for path in log_paths(tmp_path))


def test_every_page_finds_what_it_looks_for(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    done = runner.invoke(
        app,
        ["bench", "log", "--members", "2", "--slots", "4", "--rounds", "2", "--keep", str(folder), "--json"],
    )
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout[done.stdout.index("{") :])
    assert figures["day"]["messages"] == 2 * (4 * 7 + 2 * 2) + 1
    assert set(figures["pages"]) > {"all", "text: once in all"}
    assert all(cost["wall_s"] > 0 and cost["peak_mib"] > 1 for cost in figures["pages"].values())
    assert figures["check_messages_per_s"] > 0
    assert len(figures["aims"]) == 3 + len(figures["pages"])
    assert figures["newest"]["wall_s"] > 0
    found = runner.invoke(app, ["messages", str(folder / "logs"), "--json", "--grep", RARE_TEXT.upper()])
    assert [json.loads(line)["type"] for line in found.stdout.splitlines()] == ["reason"]


def test_a_folder_that_is_there_is_not_written_to(tmp_path: Path) -> None:
    done = runner.invoke(app, ["bench", "log", "--keep", str(tmp_path)])
    assert "expected a new folder" in str(done.exception)
