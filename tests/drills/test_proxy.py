"""The proxy carries bytes both ways, in order; resets connections, lets nobody in, delays."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from runtime.drills.proxy import Proxy
from runtime.errors import FleetError

LIMIT_S = 10.0


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(4096):
                self.request.sendall(data)
        except ConnectionError:
            pass


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Echo) as echo:
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        yield ("127.0.0.1", echo.server_address[1])
        echo.shutdown()


def dialled(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), LIMIT_S)


def echoed(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return received(client, len(data))


def received(client: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        part = client.recv(65536)
        if not part:
            break
        heard += part
    return heard


def test_bytes_come_back_as_they_were_sent(server: tuple[str, int]) -> None:
    proxy = Proxy(*server, seed=1)
    data = bytes(range(256)) * 500
    with dialled(proxy.start()) as client:
        assert echoed(client, data) == data
    assert proxy.connections == 1


def test_a_cut_breaks_connections_and_lets_nobody_in_for_a_while(server: tuple[str, int]) -> None:
    proxy = Proxy(*server, seed=1)
    port = proxy.start()
    with dialled(port) as client:
        assert echoed(client, b"before") == b"before"
        proxy.cut(0.5)
        with pytest.raises(ConnectionResetError):
            client.recv(10)
    with dialled(port) as client:
        assert heard_of_a_closed(client) == b""
    time.sleep(0.6)
    with dialled(port) as client:
        assert echoed(client, b"after") == b"after"
    assert proxy.connections == 2


def heard_of_a_closed(client: socket.socket) -> bytes:
    """What comes from a connection that the proxy closes: nothing, whether it is ended or reset."""
    try:
        return client.recv(10)
    except ConnectionResetError:
        return b""


def seconds_of_an_echo(client: socket.socket) -> float:
    began_s = time.monotonic()
    assert echoed(client, b"quick") == b"quick"
    return time.monotonic() - began_s


def test_delay_holds_up_what_is_carried_and_keeps_its_order(server: tuple[str, int]) -> None:
    proxy = Proxy(*server, seed=1)
    with dialled(proxy.start()) as client:
        proxy.delay(0.2, 1.0)
        began_s = time.monotonic()
        for number in range(10):
            client.sendall(b"%d" % number)
            time.sleep(0.01)
        heard = b""
        while len(heard) < 10:
            heard += client.recv(100)
        took_s = time.monotonic() - began_s
        assert heard == b"0123456789"
        assert 0.2 <= took_s < 5.0  # half of 0.2 s at least, there and back
        time.sleep(max(0.0, 1.1 - took_s))
        assert min(seconds_of_an_echo(client) for _ in range(5)) < 0.2


def test_hold_lets_nothing_through_and_gives_it_later_in_order(server: tuple[str, int]) -> None:
    proxy = Proxy(*server, seed=1)
    port = proxy.start()
    with dialled(port) as before:
        assert echoed(before, b"first") == b"first"
        proxy.hold(600.0)
        end_s = time.monotonic() + LIMIT_S
        while not proxy._held_until_s and time.monotonic() < end_s:
            time.sleep(0.01)  # it has a thread of its own
        with dialled(port) as later:
            for client, data in ((before, b"old"), (later, b"new")):
                client.sendall(data)
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.recv(10)
                client.settimeout(LIMIT_S)
            before.sendall(b" and older")
            proxy.hold(0.0)
            assert [received(client, size) for client, size in ((before, 13), (later, 3))] == [
                b"old and older",
                b"new",
            ]
            assert echoed(later, b"quick") == b"quick"


def test_it_listens_where_it_is_told_to(server: tuple[str, int]) -> None:
    proxy = Proxy(*server, seed=1)
    port = proxy.start("127.0.0.3")
    with socket.create_connection(("127.0.0.3", port), LIMIT_S) as client:
        assert echoed(client, b"there") == b"there"
    with pytest.raises(FleetError, match="proxy cannot listen"):
        Proxy(*server, seed=1).start("127.0.0.3", port)


def test_a_server_that_is_gone_is_felt_at_once(server: tuple[str, int]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = Proxy("127.0.0.1", taken.getsockname()[1], seed=1)  # bound, but nobody listens
        with dialled(proxy.start()) as client:
            assert heard_of_a_closed(client) == b""
    assert proxy.connections == 0
