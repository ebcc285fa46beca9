"""Processes that die or hang."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from typing import Any

from runtime.drills.base import Fault, steps_later
from runtime.errors import FleetError


class KillMember(Fault):
    """A member's process dies."""

    name = "kill-member"
    does = "a member's process is killed; it is started again and goes on from its own log"
    hits_member = True

    def strike(self) -> None:
        """Kill it."""
        self.struck.signal(self.struck.victim, signal.SIGKILL)


class KillCoordinator(Fault):
    """The coordinator's process dies; of two communities', one of them."""

    name = "kill-coordinator"
    does = "the coordinator's process is killed; it goes on with its session from its own log"

    def strike(self) -> None:
        """Kill it."""
        coordinator = random.Random(self.struck.seed).choice(self.struck.coordinators)
        self.struck.signal(coordinator, signal.SIGKILL)


class KillServer(Fault):
    """The XMPP server's process dies."""

    name = "kill-server"
    does = (
        "the XMPP server is killed, all its nodes at once; agents reconnect and repeat what was not answered"
    )

    def strike(self) -> None:
        """Kill it."""
        for pid in self.struck.server_pids():
            os.kill(pid, signal.SIGKILL)


class KillFleet(Fault):
    """Everything dies at once, the supervisor too."""

    name = "kill-fleet"
    does = "every process is killed at once, the supervisor too; `peerwatt resume` goes on"
    breaks_off = True

    def strike(self) -> None:
        """Kill all, this process last."""
        _, *agents = self.struck.children()
        for pid in (*self.struck.server_pids(), *(child.pid for child in agents)):
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


class Silent(Fault):
    """A member hangs for longer than it is waited for, and comes back."""

    name = "silent"
    does = "a member's process hangs (SIGSTOP) past its deadline in three rounds or slots, and comes back"
    loses = True
    hits_member = True

    _stopped = False

    def strike(self) -> None:
        """Stop it."""
        self.struck.signal(self.struck.victim, signal.SIGSTOP)
        self._stopped = True

    def step(self, phase: str, detail: dict[str, Any]) -> None:
        """Let it go on once three rounds or slots went on without it."""
        if self._stopped and steps_later(self.struck.moment, phase, detail, 3):
            self.over()

    def over(self) -> None:
        """Let it go on."""
        if self._stopped:
            self._stopped = False
            with contextlib.suppress(FleetError, ProcessLookupError):
                self.struck.signal(self.struck.victim, signal.SIGCONT)
