"""What is typed wrong is told in one plain line, like every other error; help stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from runtime import cli
from runtime.cli import commands


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["peerwatt", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["run", "--nope"], "no such option: --nope"),
        (["nosuch"], "no such command 'nosuch'"),
        (["meter", "nosuch"], "no such command 'nosuch'"),
        (["messages"], "missing argument 'RUN'"),
        (["messages", "x", "--nope"], "no such option: --nope"),
        (["run", "example", "--xmpp-nodes", "x"], "invalid value for '--xmpp-nodes'"),
        (["plan", "one", "two", "--member", "x"], "got unexpected extra argument"),
        (["run", "not-there.toml"], "not-there.toml: no such file"),
    ],
)
def test_what_cannot_be_understood_is_one_line(
    arguments: list[str], error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {error}")
    assert err.count("\n") == 1
    assert "see peerwatt" in err or "expected" in err


@pytest.mark.parametrize("arguments", [[], ["meter"]])
def test_a_group_alone_shows_what_there_is(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert "Usage: peerwatt" in out + err
    assert "error" not in out + err


def test_help_and_version_are_no_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "plan", "--help") == 0
    assert typed(monkeypatch, "--version") == 0
    assert "--member" in capsys.readouterr().out


def test_every_command_is_under_a_heading_of_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    headings = [line.strip("╭╮─ ") for line in out.splitlines() if line.startswith("╭─")]
    assert sorted(headings) == [
        "Compare and choose",
        "Deploy on several machines",
        "Look into a run",
        "Meters and batteries",
        "Options",
        "Run your community",
        "Test and measure",
    ]
    assert out.index("│ new ") < out.index("│ run ") < out.index("│ compare ")
    assert "Start with peerwatt run" in out


def commands_of(
    group: TyperGroup, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, (*path, name))
        else:
            assert isinstance(command, TyperCommand)
            yield (*path, name), command


def plain(text: str) -> str:
    return " ".join(text.replace("`", "").replace("│", " ").split())


def test_help_shows_every_word_with_units(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "3000")
    group = typer.main.get_command(commands.app)
    assert isinstance(group, TyperGroup)
    units = 0
    for path, command in commands_of(group):
        assert typed(monkeypatch, *path, "--help") == 0
        shown = plain(capsys.readouterr().out)
        for each in command.params:
            told = getattr(each, "help", None)
            assert told, (path, each.name)
            assert plain(told) in shown, (path, each.name)
            units += "[" in told
            if each.param_type_name == "argument":
                name = each.metavar or each.name or ""
                assert name == name.upper(), (path, "as the help texts and the README write it")
    assert units > 5


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [(KeyboardInterrupt(), 130, "stopped\n"), (typer.Exit(3), 3, ""), (typer.Abort(), 1, "stopped\n")],
)
def test_who_ends_a_command_gets_its_exit_code(
    raised: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = typer.Typer()

    @app.command()
    def end() -> None:
        raise raised

    monkeypatch.setattr(cli, "_app_for", lambda _: app)
    assert typed(monkeypatch) == code
    assert capsys.readouterr().err.strip() == said.strip()
