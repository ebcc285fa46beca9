"""Faults of a server of several nodes: one dies, all lose each other, each is started anew."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from runtime.drills.base import Fault, Struck
from runtime.drills.moments import MarketPhase, Moment, Step, draw_moment
from runtime.drills.proxy import Proxy
from runtime.fleet.ejabberd import EjabberdChildren
from runtime.fleet.servers import Server
from runtime.xmpp.ejabberd.local import NodeProcess

HELD_S = 10.0
"""How long nothing gets from node to node [s]."""

SILENCE_S = 4
"""Nodes give each other up after so long, a quarter more or less, in a drill that parts them [s]."""

_BEHIND = "127.0.1.{}"
"""Where nodes listen for each other when a proxy is where they look for each other."""


class _OfNodes(Fault):
    """A fault that takes its time: a node needs some seconds to be there again."""

    needs_nodes = True

    @classmethod
    def moment(cls, steps: Sequence[Step], phase: MarketPhase, rng: random.Random) -> Moment:
        """An early one, so that the market goes on for long enough after it."""
        return draw_moment(steps[: max(2, len(steps) // 4)], phase, rng)


class KillNode(_OfNodes):
    """One node dies."""

    name = "kill-node"
    does = "one node of the server is killed; its agents go to another, and back once it is there again"

    @classmethod
    def nodes_restarted(cls, nodes: int) -> int:
        """The one."""
        return 1

    def strike(self) -> None:
        """Kill it."""
        os.kill(random.Random(self.struck.seed).choice(self.struck.server_pids()), signal.SIGKILL)


class RestartNodes(_OfNodes):
    """Each node is ended and started again, as for a new version."""

    name = "restart-nodes"
    does = "the server's nodes are ended and started again, one after the other"

    def __init__(self, struck: Struck) -> None:
        super().__init__(struck)
        self._ended = 0
        self._is_started = False

    @classmethod
    def nodes_restarted(cls, nodes: int) -> int:
        """All."""
        return nodes

    def strike(self) -> None:
        """End the first."""
        self._end_next()

    def step(self, phase: str, detail: dict[str, Any]) -> None:
        """End the next once the one before takes logins again."""
        if phase == "restarted":
            self._is_started = True  # right after this
        elif self._is_started and self._nodes[self._ended - 1].serves():
            self._end_next()

    @property
    def _nodes(self) -> list[NodeProcess]:
        server = self.struck.children()[0]
        assert isinstance(server, EjabberdChildren), "a server of several nodes is ejabberd"
        return server.nodes

    def _end_next(self) -> None:
        self._is_started = False
        if self._ended < len(self._nodes):
            process = self._nodes[self._ended].process
            self._ended += 1
            if process is not None:
                process.terminate()


class Netsplit(_OfNodes):
    """The network between nodes fails, and that between agents and nodes does not."""

    name = "netsplit"
    does = (
        f"for {HELD_S:g} s nothing gets from one node of the server to another: each carries on for its own "
        "agents, until they see each other again and all but the first are started anew"
    )

    def __init__(self, struck: Struck) -> None:
        super().__init__(struck)
        self._proxies: list[Proxy] = []

    @classmethod
    def nodes_restarted(cls, nodes: int) -> int:
        """All but the first."""
        return nodes - 1

    def prepare(self, server: Server) -> None:
        """Put a proxy where each node is looked for by the others."""
        assert isinstance(server, EjabberdChildren), "a server of several nodes is ejabberd"
        server.prepare()
        for number, process in enumerate(server.nodes, start=1):
            node, behind = process.node, _BEHIND.format(number)
            proxy = Proxy(behind, node.nodes_port, self.struck.seed)
            proxy.start(node.nodes_interface, node.nodes_port)
            self._proxies.append(proxy)
            process.node = replace(node, nodes_interface=behind, nodes_silence_s=SILENCE_S)

    def strike(self) -> None:
        """Hold up what they say to each other."""
        for proxy in self._proxies:
            proxy.hold(HELD_S)
