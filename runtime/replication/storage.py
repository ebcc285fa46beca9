"""Has the members' side work out how the batteries are run, each in processes of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runtime.errors import InputError, PeerwattError
from runtime.replication.accounting import Accounting
from runtime.replication.paper_case import FloatArray, PaperCase, PaperScenario
from runtime.replication.request import BuildingDay, StorageAnswer, StorageRequest, StoredDay

TOGETHER = 2
"""Processes at a time."""

_LOOK_EVERY_S = 0.1

Say = Callable[[str], None]


def building_days(case: PaperCase, accounting: Accounting, scenario: PaperScenario) -> list[BuildingDay]:
    """The problems of the buildings, as an accounting poses them.

    Args:
        case: the paper's case.
        accounting: how production, SOC_max and feed-in tariff are taken.
        scenario: whose feed-in tariff counts.

    Returns:
        One problem a building.
    """
    pv_kwh = accounting.pv_kwh(case)
    return [
        BuildingDay(
            name=name,
            load_kwh=case.load_kwh[:, place].tolist(),
            pv_kwh=pv_kwh[:, place].tolist(),
            battery=accounting.battery(case.batteries[place]),
            slot_hours=case.slot_hours,
            import_price_eur_per_kwh=case.import_price_eur_per_kwh.tolist(),
            export_price_eur_per_kwh=[accounting.feed_in_eur_per_kwh(scenario)] * case.slots,
            seed=case.seeds[place],
        )
        for place, name in enumerate(case.members)
    ]


def stored_kwh(days: Sequence[StoredDay]) -> FloatArray:
    """Stored energy at the end of each slot [kWh], shape (T, M), of M buildings' answers."""
    return np.array([day.stored_energy_kwh for day in days]).T


def run_storage(requests: Sequence[StorageRequest], say: Say = lambda text: None) -> list[StorageAnswer]:
    """Have requests answered, ``TOGETHER`` processes at a time.

    Args:
        requests: what is asked; each gets a process.
        say: told what is done, and how far.

    Returns:
        Answers in the order of the requests.

    Raises:
        InputError: a request was refused.
        PeerwattError: a process failed.
        KeyboardInterrupt: Ctrl-C, after every process has gone.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peerwatt-replicate-")))
        waiting = [_Asked(request, folder / str(number)) for number, request in enumerate(requests)]
        asked, running = list(waiting), list[_Asked]()
        for each in asked:
            stack.callback(each.stop)
        while waiting or running:
            while waiting and len(running) < TOGETHER:
                running.append(waiting.pop(0))
                running[-1].start()
            time.sleep(_LOOK_EVERY_S)
            for each in list(running):
                each.tell(say)
                if each.ended():
                    running.remove(each)
        return [each.answer() for each in asked]


@dataclass
class _Asked:
    """A process that answers a request."""

    request: StorageRequest
    folder: Path
    told: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.folder.mkdir()
        self.request.save(self.folder / "request.json")
        command = [
            sys.executable,
            "-m",
            "agents",
            "replicate",
            "--request",
            str(self.folder / "request.json"),
        ]
        with (self.folder / "answer.json").open("wb") as out, (self.folder / "said").open("wb") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=said)

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def tell(self, say: Say) -> None:
        """Tell of the quarters that the genetic algorithm has done since last time."""
        if self.request.method != "genetic":
            return
        total = self.request.generations
        lines = (self.folder / "said").read_text("utf-8").split()
        done = int(lines[-1]) if lines and lines[-1].isdigit() else 0
        quarter = 4 * done // total
        if quarter > self.told:
            self.told = quarter
            names = ", ".join(day.name for day in self.request.days)
            say(f"the paper's genetic algorithm: {names}: generation {done}/{total}")

    def answer(self) -> StorageAnswer:
        if self.process is None or self.process.returncode:
            said = (self.folder / "said").read_text("utf-8").strip().splitlines() or ["no word"]
            refused = self.process is not None and self.process.returncode == InputError.exit_code
            kind = InputError if refused else PeerwattError
            raise kind(f"{self.request.method}: {said[-1].removeprefix('error: ')}")
        return StorageAnswer.model_validate_json((self.folder / "answer.json").read_bytes())

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
