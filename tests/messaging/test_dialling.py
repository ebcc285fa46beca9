"""Whom an account dials when its server has several nodes."""

import pytest

from runtime.messaging.connection import Connection
from runtime.messaging.dialling import OWN_FIRST_S, Hosts


class Clock:
    """A clock that is put forward."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_each_account_has_a_node_of_its_own_and_then_goes_round():
    hosts, clock = ("one", "two", "three"), Clock()
    turns = [Hosts(hosts, "house", clock) for _ in range(2)]
    assert turns[0].turn() == turns[1].turn() == turns[0].own
    clock.now_s += OWN_FIRST_S
    assert [turns[0].turn() for _ in range(6)] == [turns[1].turn() for _ in range(6)]
    seen = [turns[0].turn() for _ in range(6)]
    assert sorted(seen[:3]) == sorted(hosts)
    assert seen[3:] == seen[:3]


def test_who_was_not_logged_in_yet_waits_a_while_for_its_own_node():
    clock = Clock()
    hosts = Hosts(("one", "two"), "house", clock)
    for _ in range(10):
        assert hosts.turn() == hosts.own
        clock.now_s += OWN_FIRST_S / 10
    assert [hosts.turn() == hosts.own for _ in range(4)] == [True, False, True, False]


def test_who_has_lost_its_own_node_dials_the_next_at_once():
    hosts = Hosts(("one", "two", "three"), "house", Clock())
    assert hosts.turn() == hosts.own
    hosts.logged_in()
    turns = [hosts.turn() for _ in range(3)]
    assert turns[-1] == hosts.own
    assert {*turns} == {"one", "two", "three"}
    # Logged in at the last of these, it is after that the turn of the first.
    hosts.logged_in()
    assert hosts.turn() == turns[0]


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
