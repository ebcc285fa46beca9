"""``python -m coordinator``: the coordinator's process, and what is worked out from its record."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from runtime.errors import PeerwattError
from runtime.process import PrintingWatcher, Watcher
from runtime.rundir import COORDINATOR


def main(arguments: list[str], watcher: Watcher | None = None) -> int:
    """Run one of the subcommands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m coordinator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("run", "run the market sessions of a run directory"),
        ("indicators", "work out the indicators of a finished run"),
        ("verify", "recompute what was settled from what was said"),
        ("replay", "the market's state at a message, rebuilt from the log"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--run", type=Path, required=True, help="the run directory")
        if name == "run":
            command.add_argument(
                "--handout", type=Path, help="folder with its connection and configuration (the run itself)"
            )
            command.add_argument("--account", default=COORDINATOR, help="which of two coordinators this is")
        if name == "verify":
            command.add_argument("--member", help="check this member's bills, from its own log alone")
            command.add_argument("--logs", type=Path, help="folder of logs; by default the run's")
            command.add_argument("--terms", type=Path, help="the coordinator's configuration; the run's own")
        if name == "replay":
            command.add_argument("--account", default=COORDINATOR, help="which of two coordinators")
            command.add_argument("--until", help="message, as ID or SENDER:ID; by default the log's end")
            command.add_argument("--record", type=int, help="number of a record instead")
    given = parser.parse_args(arguments)
    if given.command != "run":
        try:
            if given.command == "verify":
                from coordinator.verification.command import print_verification

                print_verification(given.run, given.member, given.logs, given.terms)
            elif given.command == "replay":
                from coordinator.replaying import print_state

                print_state(given.run, given.account, given.until, given.record)
            else:
                from coordinator.indicators.command import write_indicators

                write_indicators(given.run)
        except PeerwattError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        return 0
    from coordinator.process import run

    return run(given.run, watcher or PrintingWatcher(), given.handout, given.account)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
