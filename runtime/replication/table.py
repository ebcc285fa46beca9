"""Table III as published, replicated and corrected, and what each slip changes: as data, CSV and JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from runtime.configuration import Configuration
from runtime.files import write_text_atomically
from runtime.replication.accounting import Counted
from runtime.replication.paper_case import PaperScenario


class Figures(Configuration):
    """What a scenario comes to.

    Attributes:
        self_sufficiency_percent: by the accounting at hand [%].
        cost_eur: by the accounting at hand [EUR].
        import_kwh: energy imported [kWh].
        export_kwh: energy fed in [kWh].
    """

    self_sufficiency_percent: float
    cost_eur: float
    import_kwh: float
    export_kwh: float

    @classmethod
    def of(cls, counted: Counted) -> Figures:
        """The same as data."""
        return cls(
            self_sufficiency_percent=counted.self_sufficiency_percent,
            cost_eur=counted.cost_eur,
            import_kwh=counted.import_kwh,
            export_kwh=counted.export_kwh,
        )


class TableRow(Configuration):
    """A row of Table III, or one that the paper does not have.

    Attributes:
        key: short name.
        title: as the paper calls it, or what it is.
        published_index_percent: "self-sufficiency index" in the paper [%].
        published_cost_eur: "global cost" in the paper [EUR].
        replicated: by the paper's accounting, by this software.
        corrected: in correct units, by equations 1 and 11.
        run: directory of the fleet's run that ``corrected`` comes from, beside the table; None: no fleet's.
    """

    key: str
    title: str
    published_index_percent: float | None = None
    published_cost_eur: float | None = None
    replicated: Figures | None = None
    corrected: Figures
    run: str | None = None


class Increment(Configuration):
    """What the scenarios come to after a change.

    Attributes:
        key: which change, ``published`` for none.
        so_far: with this change and all before it, by scenario.
        alone: with this change alone, by scenario.
    """

    key: str
    so_far: dict[PaperScenario, Figures]
    alone: dict[PaperScenario, Figures]


class MethodCosts(Configuration):
    """Cost of the day (eq. 1) of the four buildings, by how their batteries are run [EUR].

    Attributes:
        idle_eur: left alone.
        rule_eur: by the paper's rule.
        genetic_eur: by the paper's genetic algorithm.
        optimised_eur: by Peerwatt's optimisation.
        genetic_feasible: buildings in which the genetic algorithm met its own balance constraint.
        genetic_worst_balance_kwh: greatest imbalance in a slot of what it found [kWh].
        genetic_seconds: process time of the genetic algorithm [s].
    """

    idle_eur: float
    rule_eur: float
    genetic_eur: float
    optimised_eur: float
    genetic_feasible: int
    genetic_worst_balance_kwh: float
    genetic_seconds: float

    def value_share(self, cost_eur: float) -> float:
        """Share of what Peerwatt's optimisation gets out of the batteries that this cost stands for."""
        return (self.idle_eur - cost_eur) / (self.idle_eur - self.optimised_eur)


class Replication(Configuration):
    """All figures of a replication.

    Attributes:
        members: names of the buildings.
        generations: of the genetic algorithm in this replication.
        mechanism: of the community market.
        rows: Table III and more.
        increments: from the published accounting to the corrected one; scenario 3 by Peerwatt's optimisation.
        as_programmed: the optimisation problem as the authors' program poses it.
        as_corrected: in correct units, with the bounds of the paper's text.
    """

    members: list[str]
    generations: int
    mechanism: str
    rows: list[TableRow]
    increments: list[Increment]
    as_programmed: MethodCosts
    as_corrected: MethodCosts

    def row(self, key: str) -> TableRow:
        """The row of this name."""
        return next(row for row in self.rows if row.key == key)


def write_tables(folder: Path, replication: Replication) -> list[Path]:
    """Write ``table3.csv``, ``increments.csv`` and ``replication.json``; returns the files."""
    table, increments, everything = (
        folder / name for name in ("table3.csv", "increments.csv", "replication.json")
    )
    fields = list(Figures.model_fields)
    _write_csv(
        table,
        [
            *("scenario", "title", "published_index_percent", "published_cost_eur"),
            *(f"{kind}_{field}" for kind in ("replicated", "corrected") for field in fields),
            "run",
        ],
        [
            [
                *(row.key, row.title, row.published_index_percent, row.published_cost_eur),
                *(_cells(row.replicated, fields) + _cells(row.corrected, fields)),
                row.run,
            ]
            for row in replication.rows
        ],
    )
    _write_csv(
        increments,
        ["change", "scenario", *(f"{kind}_{field}" for kind in ("so_far", "alone") for field in fields)],
        [
            [step.key, scenario, *_cells(so_far, fields), *_cells(step.alone.get(scenario), fields)]
            for step in replication.increments
            for scenario, so_far in step.so_far.items()
        ],
    )
    write_text_atomically(everything, replication.model_dump_json(indent=1) + "\n")
    return [table, increments, everything]


def _cells(figures: Figures | None, fields: list[str]) -> list[float | None]:
    return [None if figures is None else getattr(figures, field) for field in fields]


def _write_csv(path: Path, header: list[str], rows: list[list[str | float | None]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        # rounding noise of a sum is no figure
        writer.writerow([round(cell, 6) + 0.0 if isinstance(cell, float) else cell for cell in row])
    write_text_atomically(path, text.getvalue())
