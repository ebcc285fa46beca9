"""``peerwatt bench servers``: rounds on an ejabberd of two nodes beside the embedded server; wrong names."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from runtime.bench.servers import parse_server, rounds_for
from runtime.cli.commands import app
from runtime.errors import InputError


def test_a_cluster_carries_rounds_and_its_cost_is_told():
    options = ("--servers", "embedded,ejabberd:2", "--members", "6", "--turns", "1", "--json")
    done = CliRunner().invoke(app, ["bench", "servers", *options])
    assert done.exit_code == 0, done.stderr
    figures = {each["server"]: each for each in json.loads(done.stdout)["figures"]}
    assert [*figures] == ["embedded", "ejabberd:2"]
    for each in figures.values():
        assert each["members"] == 6
        assert 0 < each["round_s"]["lower"] <= each["round_s"]["median"] <= each["round_s"]["max"]
        assert 0 < each["server_cpu_us_per_message"] < 50_000
    # Two Erlang nodes are counted, not one of them.
    assert figures["ejabberd:2"]["server_uss_mib"] > figures["embedded"]["server_uss_mib"]


def test_rounds_are_enough_and_not_too_many():
    assert [rounds_for(members) for members in (1, 4, 100, 1000)] == [300, 300, 30, 10]


@pytest.mark.parametrize("text", ["ejabberd:0", "ejabberd:x", "prosody:2", "embedded:2", "openfire"])
def test_what_is_no_server_of_a_run_is_refused(text):
    with pytest.raises(InputError, match=f"--servers: found '{text}'"):
        parse_server(text)
