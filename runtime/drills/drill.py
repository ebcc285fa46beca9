"""A drill: the undisturbed run, then one run for each fault and phase, each judged against it."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from runtime.configuration import ClockConfig, Timing
from runtime.drills.base import Fault
from runtime.drills.judging import Judgement, judge
from runtime.drills.madness import Refused, refused_of
from runtime.drills.moments import STEP_OF, MarketPhase, Moment, Step
from runtime.drills.worker import Order
from runtime.errors import PeerwattError
from runtime.fleet.ejabberd import SERVER_NAME
from runtime.fleet.resume import check_resumable
from runtime.fleet.servers import ServerChoice, ServerWanted, keep_server
from runtime.rundir import COORDINATORS, RunDirectory
from runtime.scenario.resolved import ResolvedScenario
from runtime.scenario.write import write_configs
from runtime.wording import counted

UNDISTURBED = "undisturbed"

NODES_SLOTS_S = 40.0
"""So long all slots together take at least where a node of the server is hit, which needs its time [s]."""

NODES_DEADLINE_S = 120.0
"""And so long answers are waited for at least [s]."""


@dataclass
class Heard:
    """What a run's process told.

    Attributes:
        rounds: those opened, as session and number.
        slots: those whose deliveries were asked for.
        restarts: how often each process was started again.
        struck: whether the fault struck.
        failure: why the run ended without results; None if it has them.
    """

    rounds: list[Step] = field(default_factory=list)
    slots: list[Step] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    struck: bool = False
    failure: str | None = "its process ended without a word"

    def take(self, agent: str, phase: str, detail: dict[str, Any]) -> None:
        """Take note of a step."""
        match phase:
            case "round" | "slot":
                steps = self.rounds if phase == "round" else self.slots
                step = (int(detail["session"]), int(detail[phase]))
                if step not in steps:
                    steps.append(step)
            case "restarted":
                self.restarts[agent] += 1
            case "struck":
                self.struck = True
            case "failed" if agent == "drill":
                self.failure = str(detail["reason"])
            case "done" if agent == "drill":
                self.failure = None


@dataclass(frozen=True)
class Case:
    """What came of one fault at one moment.

    Attributes:
        fault: its name.
        moment: when it struck.
        hit: the member that was hit, where it hits one alone.
        restarts: how often each process was started again by the fleet's supervisor.
        resumed: whether the run was broken off and resumed.
        broken_off: why it was broken off, as it said itself; None if it was not, or could not say.
        judgement: how it ended; None if it has no results.
        failures: what should not be; empty if all is as it has to be.
        nonsense: what became of the nonsense that a mad member said; None for other faults.
    """

    fault: str
    moment: Moment
    hit: str
    restarts: dict[str, int]
    resumed: bool
    broken_off: str | None
    judgement: Judgement | None
    failures: list[str]
    nonsense: Refused | None = None

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        judgement = None if self.judgement is None else self.judgement.as_json()
        return {**asdict(self), "moment": self.moment.model_dump(), "judgement": judgement}


class Drill:
    """Runs a scenario undisturbed and with faults, in a folder of its own.

    Attributes:
        folder: has a run's folder for each case.
        cases: what came of those that were run.
    """

    def __init__(
        self,
        resolved: ResolvedScenario,
        folder: Path,
        seed: int,
        deadline_s: float,
        server: ServerWanted = "embedded",
    ) -> None:
        """Prepare.

        Args:
            resolved: the scenario.
            folder: where runs go.
            seed: draws moments and victims.
            deadline_s: for how long an answer is waited for where a fault makes somebody miss it [s].
            server: that runs are on, each on its own; and of how many nodes.
        """
        self.folder = folder
        self.cases: list[Case] = []
        self._resolved = resolved
        self._seed = seed
        self._deadline_s = deadline_s
        self._server = server if isinstance(server, ServerChoice) else ServerChoice(kind=server)
        self._undisturbed = Heard()

    def run_undisturbed(self) -> Judgement:
        """Run the scenario without a fault.

        Raises:
            PeerwattError: it does not run to its end, or does not verify.
        """
        path = self.folder / UNDISTURBED
        keep_server(RunDirectory(path), self._server)
        write_configs(self._resolved, RunDirectory(path))
        self._undisturbed = run_worker(path)
        if self._undisturbed.failure is not None:
            raise PeerwattError(f"{path}: the undisturbed run failed: {self._undisturbed.failure}")
        judgement = judge(path, path)
        if judgement.findings:
            raise PeerwattError(f"{path}: the undisturbed run does not verify: {judgement.findings[0]}")
        return judgement

    def run_case(self, kind: type[Fault], phase: MarketPhase) -> Case:
        """Run the scenario with a fault in a phase of the market."""
        rng = random.Random(f"{self._seed}-{kind.name}-{phase}")
        steps = self._undisturbed.rounds if phase == "negotiating" else self._undisturbed.slots
        order = Order(
            fault=kind.name,
            victim=rng.choice(self._victims()),
            moment=kind.moment(steps, phase, rng),
            seed=rng.randrange(2**31),
        )
        path = self.folder / f"{kind.name}-{phase}"
        keep_server(RunDirectory(path), self._server)
        write_configs(self._resolved_for(kind), RunDirectory(path))
        heard = run_worker(path, order.model_dump_json())
        struck, broken_off, restarts = heard.struck, None, heard.restarts
        failures: list[str] = []
        resumed = struck and kind.breaks_off
        if resumed:
            broken_off = heard.failure
            if heard.failure is None:
                failures.append("the run went on to its end, though it was to be broken off")
            else:
                check_resumable(RunDirectory(path))
                heard = run_worker(path, "--resume")
                restarts = restarts + heard.restarts
        judgement = None
        if heard.failure is not None:
            failures.append(f"the run ended without results: {heard.failure}")
        else:
            judgement = judge(path, self.folder / UNDISTURBED)
            if kind.loses_messages:
                judgement = excused(judgement)
            failures += failures_of(judgement, may_lose=kind.loses)
            if kind.hits_member:
                failures += strangers_in(judgement, order.victim)
        nonsense = None
        if kind.says_nonsense:
            nonsense = refused_of(RunDirectory(path).logs_dir, order.victim)
            failures += nonsense.passed
            if struck and not nonsense.said:
                failures.append("the member was asked nothing while it was mad")
        if not struck:
            failures.append(f"the fault did not strike: the run had no {STEP_OF[phase]} {order.moment}")
        else:
            failures += nodes_left_alone(restarts, kind.nodes_restarted(self._server.nodes))
        case = Case(
            kind.name,
            order.moment,
            order.victim if kind.hits_member else "",
            dict(restarts),
            resumed,
            broken_off,
            judgement,
            failures,
            nonsense,
        )
        self.cases.append(case)
        return case

    def _victims(self) -> list[str]:
        """Members that a fault may hit: those that plan something, if there are any."""
        planning = [each.name for each in self._resolved.scenario.members if each.battery is not None]
        return planning or self._resolved.members

    def _resolved_for(self, kind: type[Fault]) -> ResolvedScenario:
        scenario = self._resolved.scenario
        timing, clock = scenario.timing.model_dump(), scenario.clock
        for deadline in ("round_deadline_s", "delivery_deadline_s"):
            if kind.loses:
                timing[deadline] = min(timing[deadline], self._deadline_s)
            if kind.needs_nodes:
                timing[deadline] = max(timing[deadline], NODES_DEADLINE_S)
        if kind.needs_nodes:
            slot_s = NODES_SLOTS_S / len(self._undisturbed.slots)
            clock = slowed(clock, scenario.horizon.slot_minutes, slot_s)
        update = {"timing": Timing.model_validate(timing), "clock": clock}
        return replace(self._resolved, scenario=scenario.model_copy(update=update))


def slowed(clock: ClockConfig, slot_minutes: int, slot_s: float) -> ClockConfig:
    """A clock by which a slot takes at least so long; a live one takes what it takes.

    Args:
        clock: of the scenario.
        slot_minutes: length of a slot [min].
        slot_s: how long it is to take by the wall clock [s].
    """
    speed = 60.0 * slot_minutes / slot_s
    if clock.kind == "live" or (clock.kind == "real-time" and clock.speed <= speed):
        return clock
    return ClockConfig(kind="real-time", speed=speed)


def nodes_left_alone(restarts: Mapping[str, int], expected: int) -> list[str]:
    """Whether fewer of a server's nodes were started again than a fault makes be.

    Args:
        restarts: how often each process was started again.
        expected: number of nodes.
    """
    found = sum(name.startswith(SERVER_NAME) for name in restarts)
    if found >= expected:
        return []
    nodes = counted(expected, "node")
    return [f"found {found} of {nodes} started again: the market was over before; expected a longer one"]


def failures_of(judgement: Judgement, *, may_lose: bool) -> list[str]:
    """What should not be in a run with a fault.

    Args:
        judgement: of the run.
        may_lose: whether the fault makes something be lost, so that rules for that may apply.
    """
    failures = [f"verify: {finding}" for finding in judgement.findings]
    if judgement.ledger == "wrong":
        failures += judgement.differences
    if judgement.ledger == "by rule" and not may_lose:
        failures += [f"nothing was to be lost, but {each}" for each in judgement.differences]
    return failures


def excused(judgement: Judgement) -> Judgement:
    """A judgement in which messages between coordinators that never arrived are lost, not wrong."""
    ends = "|".join(COORDINATORS)
    between = re.compile(f"not-received: .* from ({ends})@[^ ]* to ({ends})@[^ ]*: sent, not received")
    lost = [finding for finding in judgement.findings if between.fullmatch(finding)]
    return replace(
        judgement,
        findings=[finding for finding in judgement.findings if finding not in lost],
        differences=[
            *judgement.differences,
            *([f"{counted(len(lost), 'message')} lost for good"] if lost else []),
        ],
    )


def strangers_in(judgement: Judgement, hit: str) -> list[str]:
    """Members beside the one that was hit that a rule for missing members was applied to."""
    named = {"late": judgement.late, "missing": judgement.missing, "estimated": judgement.estimated}
    return [
        f"{each}: {what}, though {hit} alone was hit"
        for what, places in named.items()
        for each in places
        if each.partition(" ")[0] != hit
    ]


def run_worker(path: Path, *options: str) -> Heard:
    """Run a run directory in a process of its own; what it told.

    Args:
        path: the run, with its configuration.
        options: an order, or ``--resume``.
    """
    heard = Heard()
    with (path / "drill.stderr").open("ab") as errors:
        command = [sys.executable, "-m", "runtime.drills.worker", str(path), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None, "standard output is a pipe"
            for line in process.stdout:
                if line.endswith("\n"):  # a process that is killed may leave half a line
                    heard.take(*json.loads(line))
            code = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)  # a fleet leaves no process behind on Ctrl-C
            process.wait()
            raise
    if heard.failure is not None and code < 0:
        heard.failure = f"its process was killed by signal {-code}"
    return heard
