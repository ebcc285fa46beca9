"""What a fault is: how it strikes a fleet, and what may come of it."""

from __future__ import annotations

import os
import random
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

from runtime.drills.moments import STEP_OF, MarketPhase, Moment, Step, draw_moment
from runtime.errors import FleetError
from runtime.fleet.children import Child
from runtime.fleet.ejabberd import EjabberdChildren
from runtime.fleet.servers import Server
from runtime.messaging.connection import Connection


@dataclass
class Struck:
    """The fleet that a fault strikes, as the process that supervises it knows it.

    Attributes:
        children: asked for its processes, those of now.
        victim: the member that is hit, where a fault hits one.
        moment: when.
        seed: for what a fault draws itself.
        flag: a file of the run by which a fault tells agent processes that it is on.
        members: all of them.
        coordinators: accounts of the coordinators: one, or those of two communities.
    """

    children: Callable[[], list[Child]]
    victim: str
    moment: Moment
    seed: int
    flag: Path
    members: tuple[str, ...]
    coordinators: tuple[str, ...]

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process of the fleet.

        Raises:
            FleetError: it does not run.
        """
        os.kill(self.pid_of(name), number)

    def pid_of(self, name: str) -> int:
        """Process id of one process of the fleet, by its own name or that of a member it carries.

        Raises:
            FleetError: it does not run.
        """
        for child in self.children():
            if _carries(child, name) and child.pid is not None and child.exit_code() is None:
                return child.pid
        raise FleetError(f"the drill found no running process {name!r}")

    def server_pids(self) -> list[int]:
        """Process ids of the XMPP server, of all its nodes that run: what the fleet starts first."""
        server = self.children()[0]
        if isinstance(server, EjabberdChildren):
            return server.running_pids
        return [] if server.pid is None else [server.pid]


def _carries(child: Child, name: str) -> bool:
    return child.name == name or f"--member={name}" in getattr(child, "arguments", ())


class Fault(ABC):
    """One kind of fault; an object of it strikes one run, in the process that supervises the fleet.

    Attributes:
        name: as the command line has it.
        does: what is done, for a person.
        loses: whether something is really lost, so that the ledger may differ as the stated rule says.
        breaks_off: whether the run ends by it, to go on by being resumed.
        hits_member: whether it hits one member alone.
        loses_messages: whether what coordinators say to each other may be lost for good.
        says_nonsense: whether that member says what all have to refuse.
        phases: of the market, in which it can strike.
        needs_two_communities: whether it can strike only where there are two coordinators.
        needs_nodes: whether it can strike only a server of several nodes.
    """

    name: ClassVar[str]
    does: ClassVar[str]
    loses: ClassVar[bool] = False
    breaks_off: ClassVar[bool] = False
    hits_member: ClassVar[bool] = False
    loses_messages: ClassVar[bool] = False
    says_nonsense: ClassVar[bool] = False
    phases: ClassVar[tuple[MarketPhase, ...]] = get_args(MarketPhase)
    needs_two_communities: ClassVar[bool] = False
    needs_nodes: ClassVar[bool] = False

    def __init__(self, struck: Struck) -> None:
        """Prepare; nothing is done yet."""
        self.struck = struck

    @classmethod
    def moment(cls, steps: Sequence[Step], phase: MarketPhase, rng: random.Random) -> Moment:
        """When it strikes, of an undisturbed run's rounds, or slots.

        Raises:
            PeerwattError: there are none.
        """
        return draw_moment(steps, phase, rng)

    @classmethod
    def nodes_restarted(cls, nodes: int) -> int:
        """How many of the server's nodes have to be started again by it."""
        return 0

    def prepare(self, server: Server) -> None:  # noqa: B027 - most need not
        """Prepare the fleet's server, which has not been started."""

    @abstractmethod
    def strike(self) -> None:
        """Do it."""

    def step(self, phase: str, detail: dict[str, Any]) -> None:  # noqa: B027 - most need not
        """Take note of a step of the market after the fault struck."""

    def reached_at(self, server: Connection) -> Connection:
        """Where agents are to dial, given the server."""
        return server

    def program(self, name: str, module: str, arguments: list[str]) -> tuple[str, list[str]]:
        """Module and arguments of an agent process."""
        return module, arguments

    def over(self) -> None:  # noqa: B027 - most need not
        """Undo what still is to be undone, the run being over."""


def steps_later(moment: Moment, phase: str, detail: dict[str, Any], steps: int) -> bool:
    """Whether the market is so many rounds or slots past a moment, or in a later phase."""
    step = STEP_OF[moment.phase]
    if phase == step:
        return (int(detail["session"]), int(detail[step])) >= (moment.session, moment.number + steps)
    return phase == "closing" or (phase == "agreement" and moment.phase == "negotiating")
