"""Connections that are cut or slow."""

from __future__ import annotations

from runtime.drills.base import Fault, Struck
from runtime.drills.proxy import Proxy
from runtime.messaging.connection import Connection

CUT_S = 2.0

DELAY_S, DELAYED_S = 0.3, 4.0


class _Proxied(Fault):
    """A fault between agents and server."""

    def __init__(self, struck: Struck) -> None:
        super().__init__(struck)
        self._proxy: Proxy | None = None

    @property
    def proxy(self) -> Proxy:
        """What is between agents and server."""
        assert self._proxy is not None, "a fault strikes once the fleet is connected"
        return self._proxy

    def reached_at(self, server: Connection) -> Connection:
        """Put the proxy between."""
        self._proxy = Proxy(server.host, server.port, self.struck.seed)
        return server.model_copy(update={"host": "127.0.0.1", "port": self._proxy.start()})


class Cut(_Proxied):
    """The network fails for a while."""

    name = "cut"
    does = f"all connections to the server break, and none is let in for {CUT_S:g} s"

    def strike(self) -> None:
        """Cut them."""
        self.proxy.cut(CUT_S)


class Delay(_Proxied):
    """The network is slow for a while."""

    name = "delay"
    does = f"for {DELAYED_S:g} s all that goes over the network takes {DELAY_S / 2:g} to {1.5 * DELAY_S:g} s"

    def strike(self) -> None:
        """Slow it down."""
        self.proxy.delay(DELAY_S, DELAYED_S)
