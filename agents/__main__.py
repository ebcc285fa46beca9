"""``python -m agents``: processes of a member's side: prosumer, meters, what is attached later, bench."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from runtime.errors import PeerwattError
from runtime.process import PrintingWatcher, Watcher


def main(arguments: list[str], watcher: Watcher | None = None) -> int:
    """Run one of the subcommands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m agents", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prosumer = commands.add_parser("prosumer", help="the agent of a member, or of several")
    meters = commands.add_parser("meters", help="the built-in meters of all members")
    meter = commands.add_parser("meter", help="a meter attached to a member of a running fleet")
    controller = commands.add_parser("controller", help="steers a battery of a running fleet")
    for command in (prosumer, meters, meter, controller):
        command.add_argument("--run", type=Path, required=True, help="the run directory")
    for command in (prosumer, meters):
        command.add_argument(
            "--handout", type=Path, help="folder with its connection and configuration (the run itself)"
        )
    prosumer.add_argument(
        "--member", required=True, action="append", help="name of the member; again for each further one"
    )
    for command in (meter, controller):
        command.add_argument("--member", required=True, help="name of the member")
    meter.add_argument("--source", required=True, help="where readings come from, as a URL")
    meter.add_argument("--role", action="append", default=[], help="what it measures; all by default")
    meter.add_argument("--number", type=int, default=2, help="which of the member's further meters it is")
    for command in (meter, controller):
        command.add_argument("--connection", type=Path, help="connection file; the run's own by default")
    controller.add_argument("--setpoint", required=True, help="target, limits and habits, as JSON")
    steer = commands.add_parser("steer", help="try a set-point's target once, as JSON lines")
    steer.add_argument("--target", required=True, help="where set-points are written, as a URL")
    steer.add_argument("--power-kw", type=float, required=True, help="discharge > 0, charge < 0")
    steer.add_argument("--seconds", type=float, required=True, help="how long it is held")
    steer.add_argument("--write", action="store_true", help="really write it")
    read = commands.add_parser("read", help="read a source for a while without attaching it, as JSON lines")
    read.add_argument("--source", required=True, help="where readings come from, as a URL")
    read.add_argument("--seconds", type=float, required=True, help="how long a device is listened to")
    read.add_argument("--slot-seconds", type=float, help="length of the slots told")
    read.add_argument("--run", type=Path, help="a run, for sources that follow its slots")
    read.add_argument("--member", help="the member whose meter it would be")
    bench = commands.add_parser("bench", help="measure planning; figures as JSON")
    bench.add_argument("--instances", type=int, required=True, help="random instances")
    bench.add_argument("--data", type=Path, help="folder with the Lorient data")
    bench.add_argument("--oracle-seconds", type=float, required=True, help="time limit of HiGHS")
    bench.add_argument("--paper-seconds", type=float, required=True, help="time of the paper's formulation")
    bench.add_argument("--no-trade-offs", action="store_true", help="without ageing and fronts")
    forecast = commands.add_parser("forecast", help="what a member forecasts, as JSON")
    forecast.add_argument("--config", type=Path, required=True, help="the member's configuration")
    forecast.add_argument("--meters", type=Path, required=True, help="configuration of its meter")
    plan = commands.add_parser("plan", help="a member's plan at the grid's tariffs, as JSON")
    plan.add_argument("--request", type=Path, required=True, help="what is asked, as JSON")
    explain = commands.add_parser("explain", help="why a member's agreed plan is as it is, as JSON")
    explain.add_argument("--run", type=Path, required=True, help="directory of a finished run")
    explain.add_argument("--member", required=True, help="name of the member")
    explain.add_argument("--session", type=int, default=0, help="session, from 0 on")
    verify = commands.add_parser("verify", help="members' own messages made again from their logs")
    verify.add_argument("--run", type=Path, required=True, help="the run directory")
    verify.add_argument("--logs", type=Path, help="folder of logs; by default the run's")
    replay = commands.add_parser(
        "replay", help="a member's state at a message, rebuilt from its log, as JSON"
    )
    replay.add_argument("--run", type=Path, required=True, help="the run directory")
    replay.add_argument("--member", required=True, help="name of the member")
    replay.add_argument("--until", help="message, as ID or SENDER:ID; by default the log's end")
    replay.add_argument("--record", type=int, help="number of a record instead")
    replicate = commands.add_parser("replicate", help="how batteries are run in the paper's case, as JSON")
    replicate.add_argument("--request", type=Path, required=True, help="what is asked, as JSON")
    given = parser.parse_args(arguments)
    watcher = watcher or PrintingWatcher()
    match given.command:
        case "prosumer":
            from agents.process import run_prosumers

            return run_prosumers(given.run, given.member, watcher, given.handout)
        case "meters":
            from agents.meters.process import run_meters

            return run_meters(given.run, watcher, given.handout)
        case "bench":
            from agents.bench.command import run_bench

            return run_bench(
                given.instances,
                given.data,
                given.oracle_seconds,
                given.paper_seconds,
                not given.no_trade_offs,
            )
        case "read":
            from agents.meters.trial import print_trial

            return _answered(
                lambda: print_trial(given.source, given.seconds, given.slot_seconds, given.run, given.member)
            )
        case "controller":
            from agents.setpoints.process import run_attached_controller
            from runtime.setpoints import SetpointTable

            table = SetpointTable.model_validate_json(given.setpoint)
            return run_attached_controller(given.run, given.member, table, given.connection, watcher)
        case "steer":
            from agents.setpoints.trial import print_trial as print_steering

            return _answered(lambda: print_steering(given.target, given.power_kw, given.seconds, given.write))
        case "forecast":
            from agents.forecast.command import print_forecasts

            return _answered(lambda: print_forecasts(given.config, given.meters))
        case "plan":
            from agents.planning.command import print_plan

            return _answered(lambda: print_plan(given.request))
        case "explain":
            from agents.explaining import print_reasons

            return _answered(lambda: print_reasons(given.run, given.member, given.session))
        case "verify":
            from agents.retracing import print_check

            return _answered(lambda: print_check(given.run, given.logs))
        case "replay":
            from agents.replaying import print_state

            return _answered(lambda: print_state(given.run, given.member, given.until, given.record))
        case "replicate":
            from agents.bench.replication import print_storage

            return _answered(lambda: print_storage(given.request))
        case _:
            from agents.meters.process import run_attached_meter

            return run_attached_meter(
                given.run,
                given.member,
                given.source,
                given.role,
                given.connection,
                watcher,
                given.number,
            )


def _answered(work: Callable[[], None]) -> int:
    """Do what prints an answer; an error a person can mend is one line and the error's exit code."""
    try:
        work()
    except PeerwattError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
