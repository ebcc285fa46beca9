"""Ports of servers on this machine, which may be of several nodes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import FleetError
from runtime.fleet.resume import connection_again
from runtime.messaging.connection import Connection
from runtime.rundir import RunDirectory
from runtime.xmpp.local import CONNECTION_FILE, free_port

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest.fixture(params=HOSTS)
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that somebody listens on at one of the addresses."""
    wanted = free_port(HOSTS)
    with socket.create_server((request.param, wanted)):
        yield wanted


def test_a_wanted_port_that_is_free_everywhere_is_taken() -> None:
    wanted = free_port(HOSTS)
    assert free_port(HOSTS, wanted) == wanted
    assert free_port(wanted=wanted) == wanted


def test_a_port_that_nobody_wanted_is_none_that_is_given_to_who_dials() -> None:
    least, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(1024 < free_port(HOSTS) < least for _ in range(50))


def test_a_port_that_is_taken_at_one_address_is_not_free(taken: int) -> None:
    found = free_port(HOSTS, taken)
    assert found != taken
    for host in HOSTS:
        socket.create_server((host, found)).close()


def test_addresses_that_are_not_of_this_machine_are_named() -> None:
    with pytest.raises(FleetError, match=r"no port that is free at 127\.0\.0\.1, 192\.0\.2\.1"):
        free_port(("127.0.0.1", "192.0.2.1"))


def test_a_cluster_that_is_resumed_takes_a_port_that_is_free_for_all_its_nodes(
    tmp_path: Path, taken: int
) -> None:
    directory = RunDirectory(tmp_path)
    old = Connection(
        domain="x.localhost",
        host=HOSTS[0],
        further_hosts=HOSTS[1:],
        port=taken,
        ca_file="ca.pem",
        secrets_dir="secrets",
    )
    old.save(directory.server_dir / CONNECTION_FILE)
    again = connection_again(directory)
    assert again is not None
    assert again.port != taken
    assert again.hosts == HOSTS
    where_it_was = connection_again(directory, own_server=False)
    assert where_it_was is not None
    assert where_it_was.port == taken
