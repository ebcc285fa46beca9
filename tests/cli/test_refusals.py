"""What commands refuse before they start anything, in one line that says what was found and expected."""

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.rundir import RunDirectory


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_finished_run_is_not_inspected(tmp_path):
    record = RunDirectory(tmp_path / "lane").coordinator_record
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    result = run("inspect", tmp_path / "lane", "--once")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "lane: the run has finished, expected one that is running"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compose", "--nodes", "a,b"), "--nodes: found a,b without --stack"),
        (("compose", "--dashboard-port", "80"), "--dashboard-port: found 80 without --stack"),
        (
            ("bench", "soak", "--mechanism", "amdm"),
            "--mechanism: mechanism.name: found 'amdm', expected one of",
        ),
        (
            ("run", "--xmpp", "host:99999"),
            "--xmpp: found 'host:99999', expected HOST or HOST:PORT, with a port",
        ),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_starts(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith(said)
    assert not any(tmp_path.iterdir())


def test_the_version_is_an_option_and_a_command():
    told = [run(asked) for asked in ("--version", "version")]
    assert [result.exit_code for result in told] == [0, 0]
    assert told[0].output == told[1].output != "\n"
