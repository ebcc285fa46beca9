"""Which server fleets are on: kept with a run, taken by every command that runs fleets."""

from __future__ import annotations

import json

import pytest

from runtime.cli.server_choice import chosen_server, own_server_kind
from runtime.comparison.cases import comparison_cases
from runtime.comparison.runs import run_cases
from runtime.errors import InputError
from runtime.fleet.children import ServerChild
from runtime.fleet.servers import ExistingServer, ProsodyChild, keep_server, server_kind_of, server_of
from runtime.messaging.connection import Connection
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import resolve
from tests.end_to_end.fleets import call
from tests.end_to_end.street import write_street


def test_the_choice_is_kept_with_the_run(tmp_path):
    for kind, child in (("embedded", ServerChild), ("prosody", ProsodyChild), ("existing", ExistingServer)):
        directory = RunDirectory(tmp_path / kind)
        keep_server(directory, kind)
        assert server_kind_of(directory) == kind
        assert type(server_of(directory)) is child
    assert not RunDirectory(tmp_path / "embedded").server_config.exists()
    keep_server(RunDirectory(tmp_path / "existing"), "embedded")
    assert server_kind_of(RunDirectory(tmp_path / "existing")) == "embedded", "the last choice counts"
    RunDirectory(tmp_path / "prosody").server_config.write_text('{"kind": "post"}')
    with pytest.raises(InputError, match=r"xmpp\.json"):
        server_of(RunDirectory(tmp_path / "prosody"))


@pytest.mark.parametrize("xmpp", ["xmpp.example.org", "prosodie", "127.0.0.1:5222", ""])
def test_commands_that_run_many_fleets_take_servers_of_their_own_only(xmpp):
    with pytest.raises(InputError, match="expected embedded, prosody, ejabberd"):
        own_server_kind(xmpp)


def test_without_accounts_a_server_is_not_guessed():
    with pytest.raises(InputError, match=r"--xmpp prosodie: expected embedded, prosody.*--accounts FILE"):
        chosen_server("prosodie")


def test_a_comparison_runs_on_prosody(tmp_path):
    (case,) = [
        case
        for case in comparison_cases(resolve(str(write_street(tmp_path))), ["mid-market-rate"])
        if case.mechanism
    ]
    (outcome,) = run_cases([case], tmp_path / "cases", 1, lambda *_: None, server="prosody")
    assert outcome.failure is None
    directory = RunDirectory(outcome.path)
    assert server_kind_of(directory) == "prosody"
    assert Connection.load(directory.connection_json).ca_file.parent == directory.server_dir.absolute()
    assert (directory.server_dir / "prosody" / "handed" / "accounts.json").is_file()


def test_a_drill_kills_prosody_and_nothing_is_lost(tmp_path):
    faults = ("--faults", "kill-server", "--phases", "operating", "--keep", tmp_path / "runs", "--json")
    done = call("drill", write_street(tmp_path), "--xmpp", "prosody", *faults, timeout_s=180)
    assert done.returncode == 0, done.stdout + done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    assert case["restarts"] == {"xmpp server": 1}
    for name in ("undisturbed", "kill-server-operating"):
        assert server_kind_of(RunDirectory(tmp_path / "runs" / name)) == "prosody"
