"""What a node of ejabberd is told, and what it makes of that, without running it."""

from __future__ import annotations

import dataclasses
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from runtime.errors import InputError
from runtime.xmpp.ejabberd import node as node_module
from runtime.xmpp.ejabberd.local import local_nodes
from runtime.xmpp.ejabberd.node import Node, compile_modules, ensure_cookie, installed_libraries

TOLD = {"PEERWATT_DOMAIN": "x.localhost"}


def test_a_node_is_read_again_from_its_environment(tmp_path):
    (first, second) = local_nodes(tmp_path, tmp_path, "x.localhost", 2, 15222, tmp_path / "record")
    for node in (first, second, Node("x.localhost"), Node("x.localhost", audit=None)):
        assert Node.from_environment(node.environment()) == node
    assert (first.nodes_interface, second.nodes_interface) == ("127.0.0.1", "127.0.0.2")
    assert first.nodes == second.nodes


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"PEERWATT_DOMAIN": ""}, "PEERWATT_DOMAIN is not set"),
        ({**TOLD, "PEERWATT_XMPP_PORT": "70000"}, "PEERWATT_XMPP_PORT: found '70000'"),
        ({**TOLD, "PEERWATT_NODES_PORT": "-1"}, "PEERWATT_NODES_PORT: found '-1'"),
        ({**TOLD, "PEERWATT_NODES_SILENCE_S": "1"}, "expected a whole number, 4 to 3600"),
        ({**TOLD, "PEERWATT_XMPP_LOG": "loud"}, "PEERWATT_XMPP_LOG: found 'loud'"),
        ({**TOLD, "PEERWATT_NODES": "a@b c@d", "PEERWATT_NODE": "e@f"}, "found 'e@f', expected one of PEER"),
    ],
)
def test_what_it_cannot_use_is_named(told, what):
    with pytest.raises(InputError, match=what):
        Node.from_environment(told)


def test_the_program_says_what_it_lacks():
    done = subprocess.run(
        [sys.executable, "-m", "runtime.xmpp.ejabberd"], env={}, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (
        2,
        "ejabberd: PEERWATT_DOMAIN is not set: expected the domain of all JIDs\n",
    )


def test_the_configuration_opens_one_port_with_tls_and_no_way_in_but_scram(tmp_path):
    node = Node('we"ird: #domain', handout=tmp_path, unlimited=("coordinator", "coordinator2"))
    read = yaml.safe_load(node.configuration())
    (listener,) = read["listen"]
    assert listener["module"] == "ejabberd_c2s"
    assert listener["starttls_required"] is True
    assert (read["auth_method"], read["s2s_access"]) == (["peerwatt"], "nobody")
    assert "plain" in read["disable_sasl_mechanisms"]
    assert read["acl"]["unlimited"]["user"] == ['coordinator@we"ird: #domain', 'coordinator2@we"ird: #domain']
    assert {each for each in read["modules"] if "register" in each or "http" in each} == set()


def test_a_cookie_is_made_once_and_is_in_no_argument(tmp_path):
    ensure_cookie(tmp_path)
    cookie = (tmp_path / "cookie").read_text().strip()
    ensure_cookie(tmp_path)
    assert (tmp_path / "cookie").read_text().strip() == cookie
    assert len(cookie) == 64
    node = local_nodes(tmp_path, tmp_path, "x.localhost", 2, 15222, None)[0]
    command = node.prepare()
    assert cookie not in " ".join(command)
    assert cookie not in str(node.environment())
    assert (node.work / ".erlang.cookie").read_text() == cookie
    assert stat.S_IMODE((node.work / ".erlang.cookie").stat().st_mode) == 0o400
    assert stat.S_IMODE(node.work.stat().st_mode) == 0o700
    assert command[command.index("-start_epmd") :][:2] == ["-start_epmd", "false"]
    assert "inet_tls" in command


def test_one_node_alone_listens_for_no_other(tmp_path):
    (node,) = local_nodes(tmp_path, tmp_path, "x.localhost", 1, 15222, None)
    assert not {"-name", "-proto_dist", "-erl_epmd_port"} & {*node.prepare()}
    assert not (tmp_path / "cookie").exists()


def test_nodes_of_a_cluster_without_a_cookie_do_not_start(tmp_path):
    node = local_nodes(tmp_path, tmp_path, "x.localhost", 2, 15222, None)[0]
    (tmp_path / "cookie").unlink()
    with pytest.raises(InputError, match="nodes of a cluster are handed a cookie"):
        node.prepare()


def test_without_ejabberd_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(node_module, "LIBRARIES", tmp_path)
    with pytest.raises(InputError, match="apt-get install --no-install-recommends ejabberd"):
        dataclasses.replace(Node("x.localhost"), work=tmp_path / "work").prepare()
    assert not (tmp_path / "work").exists()


def test_modules_are_compiled_once_and_again_when_they_change(tmp_path, monkeypatch):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "one.erl").write_text("-module(one).\n-export([x/0]).\nx() -> 1.\n")
    monkeypatch.setattr(node_module.resources, "files", lambda _: tmp_path)
    out = compile_modules(tmp_path / "out", installed_libraries())
    first = (out / "one.beam").stat().st_mtime_ns
    compile_modules(tmp_path / "out", installed_libraries())
    assert (out / "one.beam").stat().st_mtime_ns == first
    (modules / "one.erl").write_text("-module(one).\n-export([x/0]).\nx() -> 2.\n")
    compile_modules(tmp_path / "out", installed_libraries())
    assert (out / "one.beam").stat().st_mtime_ns > first


def test_a_module_that_does_not_compile_is_named(tmp_path, monkeypatch):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "broken.erl").write_text("-module(broken).\nx( -> y.\n")
    monkeypatch.setattr(node_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(InputError, match=r"do not compile: .*broken\.erl"):
        compile_modules(tmp_path / "out", installed_libraries())
    assert Path(tmp_path / "out").is_dir()


def test_a_node_whose_parent_has_gone_does_not_start():
    done = subprocess.run(
        [sys.executable, "-m", "runtime.xmpp.ejabberd", "--with-parent", "1"],
        env=TOLD,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (2, "ejabberd: the process that started this one is gone\n")
