"""One run of a comparison in a process of its own: ``python -m runtime.comparison.worker RUN``.

With ``--indicators-only`` after it, the ledger is checked and the indicators computed, but nothing is drawn.
Tells its steps as JSON lines on standard output: ``[phase, detail]``; the last is ``done`` or ``failed``.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from runtime.errors import PeerwattError
from runtime.fleet.supervisor import Fleet
from runtime.results import write_results
from runtime.results.indicators import compute_indicators
from runtime.results.ledger import check_ledger
from runtime.results.reading import read_records
from runtime.rundir import RunDirectory


def tell(phase: str, detail: dict[str, Any]) -> None:
    """Tell a step."""
    print(json.dumps([phase, detail]), flush=True)


def interrupt_once(number: int, frame: FrameType | None) -> None:
    """Stop at the first Ctrl-C; the one that the comparison passes on must not disturb the stopping."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(run: Path, indicators_only: bool = False) -> int:
    """Run a prepared run directory to its results; 0 when all went well."""
    signal.signal(signal.SIGINT, interrupt_once)
    try:
        Fleet(RunDirectory(run), lambda agent, phase, detail: tell(phase, {"agent": agent, **detail})).run()
        tell("results", {})
        compute_indicators(run)
        if indicators_only:
            coordinator, _ = read_records(run)
            check_ledger(coordinator)
        else:
            write_results(run, figures=True)
    except PeerwattError as error:
        tell("failed", {"reason": str(error)})
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    tell("done", {})
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "--indicators-only" in sys.argv[2:]))
