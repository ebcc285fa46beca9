"""One run of a drill in a process of its own: ``python -m runtime.drills.worker RUN [ORDER | --resume]``.

Tells the steps of the fleet as JSON lines on standard output, ``[agent, phase, detail]``; besides those of a
fleet there are ``struck``, and last ``failed`` or ``done``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from runtime.configuration import CoordinatorConfig
from runtime.drills.base import Fault, Struck
from runtime.drills.faults import FAULTS
from runtime.drills.moments import Moment
from runtime.errors import PeerwattError
from runtime.fleet.children import AgentChild
from runtime.fleet.supervisor import Fleet
from runtime.messaging.connection import Connection
from runtime.results import write_results
from runtime.results.indicators import compute_indicators
from runtime.rundir import RunDirectory

FAULT_IS_ON = "fault-is-on"


class Order(BaseModel):
    """What a drill's run is to suffer.

    Attributes:
        fault: its name.
        victim: the member that is hit, where a fault hits one.
        moment: when.
        seed: for what a fault draws itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str
    victim: str
    moment: Moment
    seed: int


class DrilledFleet(Fleet):
    """A fleet that suffers what was ordered; without an order, a fleet."""

    def __init__(self, directory: RunDirectory, order: Order | None) -> None:
        """Prepare; the fault strikes in the midst of ``run``."""
        self._fault: Fault | None = None
        self._order = order
        self._has_struck = False
        if order is not None:
            flag = directory.path / FAULT_IS_ON
            config = CoordinatorConfig.load(directory.coordinator_config)
            struck = Struck(
                lambda: self.children,
                order.victim,
                order.moment,
                order.seed,
                flag,
                tuple(config.members),
                tuple(config.coordinators),
            )
            self._fault = FAULTS[order.fault](struck)
        super().__init__(directory, self._hear_step)
        if self._fault is not None:
            self._fault.prepare(self.server)

    def run(self, *, resume: bool = False) -> None:
        """Run; see ``Fleet.run``."""
        try:
            super().run(resume=resume)
        finally:
            if self._fault is not None:
                self._fault.over()

    def reached_at(self, server: Connection) -> Connection:
        """Where agents dial: what the fault puts between."""
        return server if self._fault is None else self._fault.reached_at(server)

    def _agent(self, name: str, module: str, arguments: list[str]) -> AgentChild:
        child = super()._agent(name, module, arguments)
        if self._fault is not None:
            child.module, child.arguments = self._fault.program(name, child.module, child.arguments)
        return child

    def _hear_step(self, agent: str, phase: str, detail: dict[str, Any]) -> None:
        tell(agent, phase, detail)
        if self._fault is None or self._order is None:
            return
        if self._has_struck:
            self._fault.step(phase, detail)
        elif self._order.moment.is_told_by(phase, detail):
            time.sleep(self._order.moment.delay_s)
            self._has_struck = True
            tell("drill", "struck", {"fault": self._order.fault})
            self._fault.strike()


def tell(agent: str, phase: str, detail: dict[str, Any]) -> None:
    """Tell a step."""
    print(json.dumps([agent, phase, detail], default=str), flush=True)


def main(run: Path, order: Order | None, *, resume: bool) -> int:
    """Run a prepared run directory to its results; 0 when all went well."""
    try:
        DrilledFleet(RunDirectory(run), order).run(resume=resume)
        compute_indicators(run)
        write_results(run, figures=False)
    except PeerwattError as error:
        tell("drill", "failed", {"reason": str(error)})
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    tell("drill", "done", {})
    return 0


if __name__ == "__main__":
    _, _run, *_rest = sys.argv
    _resume = _rest == ["--resume"]
    _order = Order.model_validate_json(_rest[0]) if _rest and not _resume else None
    sys.exit(main(Path(_run), _order, resume=_resume))
