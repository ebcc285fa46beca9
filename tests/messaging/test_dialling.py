"""Whom an account dials when its server has several nodes."""

import pytest

from runtime.messaging.connection import Connection
from runtime.messaging.dialling import Hosts


def test_each_account_has_a_node_of_its_own_and_then_goes_round():
    hosts = ("one", "two", "three")
    turns = [Hosts(hosts, "house") for _ in range(2)]
    assert [turns[0].turn() for _ in range(6)] == [turns[1].turn() for _ in range(6)]
    first = Hosts(hosts, "house")
    seen = [first.turn() for _ in range(6)]
    assert sorted(seen[:3]) == sorted(hosts)
    assert seen[3:] == seen[:3]


def test_accounts_are_spread_over_all_nodes():
    of_node = {"one": 0, "two": 0}
    for number in range(300):
        of_node[Hosts(("one", "two"), f"member-{number:03d}").turn()] += 1
    assert min(of_node.values()) > 120


@pytest.mark.parametrize("further", [(), ("127.0.0.2", "127.0.0.3")])
def test_a_connection_file_keeps_all_hosts(tmp_path, further):
    made = Connection(
        domain="x.localhost",
        host="127.0.0.1",
        port=5222,
        ca_file="ca.pem",
        secrets_dir="secrets",
        further_hosts=further,
    )
    made.save(tmp_path / "connection.json")
    # A file for a server of one node is one that earlier versions read.
    assert ("further_hosts" in (tmp_path / "connection.json").read_text()) == bool(further)
    assert Connection.load(tmp_path / "connection.json").hosts == ("127.0.0.1", *further)
