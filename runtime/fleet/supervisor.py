"""Runs a fleet: starts every process, watches, restarts what crashed, and leaves nothing behind."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from multiprocessing import connection as pipes
from typing import Any

from runtime.configuration import CoordinatorConfig
from runtime.errors import FleetError
from runtime.fleet.children import AgentChild, Child, ForkServer, Told
from runtime.fleet.descriptors import allow_open_files
from runtime.fleet.lock import sole_supervisor
from runtime.fleet.packing import packing_of, workers_of
from runtime.fleet.resume import connection_again
from runtime.fleet.servers import ExistingServer, Server, server_of
from runtime.messaging.connection import Connection
from runtime.operations_log import entry_text, now_text
from runtime.rundir import RunDirectory
from runtime.xmpp.local import CONNECTION_FILE

RESTARTS, RESTARTS_WITHIN_S = 3, 3600.0
"""How often a process that crashed is started again within so long [s] before the run is given up; a run may
last for months."""

READY_LIMIT_S, READY_LIMIT_PER_MEMBER_S = 60.0, 0.5
"""How long the processes may take until all are connected."""

MEMBERS_LEAVE_LIMIT_S = 60.0
"""How long members are waited for once the coordinator has closed the market and left."""

METERS_LEAVE_LIMIT_S, STOP_LIMIT_S = 2.0, 6.0

METERS = "meters"

News = Callable[[str, str, dict[str, Any]], None]
"""Told process or agent, phase and detail of a step."""

_LOGGED = {
    "starting": "info",
    "ready": "info",
    "restarted": "warning",
    "left-behind": "warning",
    "failed": "error",
}
"""Steps that are kept in the fleet's own log, and their levels."""


class Fleet:
    """The processes of one run.

    Attributes:
        restarts: how often each process was started again, of a server of several nodes each node.
        ready_seconds: time from the start until all processes were connected; None before.
    """

    def __init__(self, directory: RunDirectory, on_news: News) -> None:
        """Prepare the fleet of a run directory that holds its configuration.

        Args:
            directory: the run.
            on_news: called with process or agent, phase and detail of each step.
        """
        self._directory = directory
        self._on_news = self._logging(on_news)
        self._config = CoordinatorConfig.load(directory.coordinator_config)
        self._fork_server = ForkServer()
        self.server: Server = server_of(directory)
        self.coordinator, *self.further_coordinators = (
            self._agent(account, "coordinator", ["run", "--account", account])
            for account in self._config.coordinators
        )
        self.meters = self._agent(METERS, "agents", ["meters"])
        workers = workers_of(self._config.members, packing_of(directory))
        self.prosumers = [
            self._agent(name, "agents", ["prosumer", *(f"--member={member}" for member in members)])
            for name, members in workers.items()
        ]
        self.restarts: Counter[str] = Counter()
        self.ready_seconds: float | None = None
        self._restarted_s: defaultdict[str, list[float]] = defaultdict(list)
        self._reasons: dict[str, str] = {}
        self._unmade: set[str] = set()  # processes whose agents have not yet taken up what their logs hold
        self._unready: set[str] = set()
        self._finished: set[str] = set()  # processes that say that they are done
        self._left: set[str] = set()  # of these, the ones whose end has been noticed

    def _logging(self, on_news: News) -> News:
        """Keep what matters of the news in the run's ``logs/fleet.log`` too."""
        path = self._directory.logs_dir / "fleet.log"

        def log(agent: str, phase: str, detail: dict[str, Any]) -> None:
            if phase in _LOGGED:
                entry = entry_text(
                    time=now_text(), level=_LOGGED[phase], agent=agent, event=phase, fields=detail
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="ascii") as lines:
                    lines.write(f"{entry}\n")
            on_news(agent, phase, detail)

        return log

    def _agent(self, name: str, module: str, arguments: list[str]) -> AgentChild:
        errors_path = self._directory.logs_dir / f"{name}.stderr"
        command = [arguments[0], "--run", str(self._directory.path), *arguments[1:]]
        return AgentChild(name, self._fork_server, module, command, errors_path)

    @property
    def children(self) -> list[Child]:
        """All processes, in the order in which they are started."""
        return [self.server, *self.coordinators, self.meters, *self.prosumers]

    @property
    def coordinators(self) -> list[AgentChild]:
        """The coordinator; of two communities, the one that leads and then the other's."""
        return [self.coordinator, *self.further_coordinators]

    def run(self, *, resume: bool = False) -> None:
        """Run the fleet until the market sessions are closed.

        Args:
            resume: go on with a run whose fleet is gone: every agent takes up what its own log holds.

        Raises:
            FleetError: a process died for good, refused to start, or did not get ready in time.
            InputError: another process supervises this run.
            KeyboardInterrupt: Ctrl-C; like any other way out, only after every process has gone.
        """
        with sole_supervisor(self._directory):
            allow_open_files(len(self._config.members))
            try:
                own_server = not isinstance(self.server, ExistingServer)
                processes = len(self.children) - (not own_server)
                self._on_news("fleet", "starting", {"processes": processes})
                connection = connection_again(self._directory, own_server=own_server) if resume else None
                if connection is None:
                    self._start()
                else:
                    self._start_again(connection)
                self._watch()
            finally:
                self._stop()

    def _start(self) -> None:
        began_s = time.monotonic()
        self.server.start()
        self._fork_server.start()
        self.server.await_ready()
        connection = Connection.load(self._directory.server_dir / CONNECTION_FILE)
        self.reached_at(connection).save(self._directory.connection_json)
        agents: list[AgentChild] = [*self.coordinators, self.meters, *self.prosumers]
        if len(self.prosumers) < len(self._config.members):
            # Members that share processes are there soon; the first slot would wait for hundreds of meters.
            self._start_agents([self.meters])
            self._await_connected(began_s)
            agents.remove(self.meters)
        self._start_agents(agents)
        self._await_ready(began_s)

    def _start_again(self, connection: Connection) -> None:
        """Start agents first, the server last: nobody is waited for while others still read their logs."""
        began_s = time.monotonic()
        connection.save(self._directory.connection_json)
        self.server.port = connection.port
        self._fork_server.start()
        self._start_agents([*self.coordinators, self.meters, *self.prosumers])
        while self._unmade:
            self._step(None)
        self._on_news("fleet", "made", {"seconds": round(time.monotonic() - began_s, 3)})
        self.server.start()
        self.server.await_ready()
        self._await_ready(time.monotonic())

    def reached_at(self, server: Connection) -> Connection:
        """Where agents dial, given the server: at the server, unless something is put between."""
        return server

    def _start_agents(self, agents: Sequence[AgentChild]) -> None:
        self._unready = {agent.name for agent in agents}
        self._unmade = set(self._unready)
        for agent in agents:
            agent.start()

    def _await_ready(self, began_s: float) -> None:
        self._await_connected(began_s)
        self.ready_seconds = time.monotonic() - began_s
        self._on_news("fleet", "ready", {"seconds": round(self.ready_seconds, 3)})

    def _await_connected(self, began_s: float) -> None:
        """Wait until the agents that were started are connected."""
        limit_s = READY_LIMIT_S + READY_LIMIT_PER_MEMBER_S * len(self._config.members)
        while self._unready:
            left_s = began_s + limit_s - time.monotonic()
            if left_s <= 0:
                late = ", ".join(sorted(self._unready)[:5])
                raise FleetError(f"not ready within {limit_s:g} s: {late}")
            self._step(left_s)

    def _watch(self) -> None:
        while any(each.name not in self._left for each in self.coordinators):
            self._step(None)
        # A member that hangs, or never heard that the market closed, leaves no record; the rest is settled.
        end_s = time.monotonic() + MEMBERS_LEAVE_LIMIT_S
        while staying := [each.name for each in self.prosumers if each.name not in self._left]:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                for name in staying:
                    self._on_news(name, "left-behind", {"seconds": MEMBERS_LEAVE_LIMIT_S})
                return
            self._step(left_s)

    def _step(self, timeout_s: float | None) -> None:
        """Wait for something to happen, and see to it."""
        # A process is waited on until its end has been noticed here, so one that ended since the last step
        # makes this one return at once.
        watched = {
            item: child for child in self.children if child.name not in self._left for item in child.waitables
        }
        heard = {watched[item].name: watched[item] for item in pipes.wait(watched, timeout_s)}
        for child in heard.values():
            code = child.exit_code()
            for told in child.news():  # after the exit code: all that was told before the end is heard
                self._hear(child, told)
            if code is None:
                continue
            if code == 0 and child.name in self._finished:
                self._left.add(child.name)
            else:
                self._restart(child)

    def _hear(self, child: Child, told: Told) -> None:
        agent, phase, detail = told
        if phase == "made":
            self._unmade.discard(child.name)
        if phase == "ready":
            self._unready.discard(child.name)
        if phase == "finished":
            self._finished.add(child.name)
        if phase == "failed":
            self._reasons[child.name] = str(detail.get("reason", ""))
        self._on_news(agent or child.name, phase, detail)

    def _restart(self, child: Child) -> None:
        """Start a process that crashed again; one that gave up itself, or crashes on and on, ends the run."""
        if child.name in self._reasons:
            raise FleetError(f"{child.name} gave up: {self._reasons[child.name]}")
        for name, code in child.ended().items():
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            now_s = time.monotonic()
            lately = [each for each in self._restarted_s[name] if now_s - each < RESTARTS_WITHIN_S]
            if len(lately) >= RESTARTS:
                words = child.last_words()
                raise FleetError(f"{name} {how} after {RESTARTS} restarts" + (f": {words}" if words else ""))
            self._restarted_s[name] = [*lately, now_s]
            self.restarts[name] += 1
            self._on_news(name, "restarted", {"after": how, "restarts": self.restarts[name]})
        carries_on = child is self.server and self.server.carries_on
        child.start()
        if child is self.server and not carries_on:
            self._await_server_again()

    def _await_server_again(self) -> None:
        """Wait until a server that was started again takes logins; it may crash meanwhile once more."""
        try:
            self.server.await_ready()
        except FleetError:
            if not self.server.ended():
                raise
            self._restart(self.server)

    def _stop(self) -> None:
        """End every process: meters may leave by themselves, the rest is asked, then made to."""
        if all(each.exit_code() == 0 for each in self.coordinators):
            self.meters.wait(METERS_LEAVE_LIMIT_S)
        agents: list[Child] = [*self.coordinators, self.meters, *self.prosumers]
        for group in (agents, [self.server]):
            for child in group:
                child.terminate()
            deadline_s = time.monotonic() + STOP_LIMIT_S
            for child in group:
                if not child.wait(max(0.0, deadline_s - time.monotonic())):
                    child.kill()
                    child.wait(STOP_LIMIT_S)
