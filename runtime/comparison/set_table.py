"""What mechanisms come to over a reference set: mean and worst, over all and by what communities are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from runtime.comparison.cases import Case
from runtime.comparison.runs import Outcome
from runtime.comparison.sheet import ROWS, Number, Row, describe
from runtime.comparison.tables import write_csv
from runtime.dataset.manifest import Community, Manifest
from runtime.files import write_text_atomically
from runtime.results.reading import read_indicators

Dimension = Literal["all", "place", "season", "size", "tariff"]

DIMENSIONS: tuple[Dimension, ...] = ("all", "place", "season", "size", "tariff")

SAVING_PERCENT = Row(
    group="Money",
    key="saving_percent",
    title="saved against each alone [%]",
    digits=1,
    percent=False,
    better="higher",
)

KEYS = (
    "score",
    "saving_percent",
    "members_worse_off",
    "boundary_self_sufficiency",
    "rounds",
    "messages",
)
"""The indicators of the table, in its order; all indicators of every run are in ``set-runs.csv``."""

SET_ROWS: tuple[Row, ...] = tuple(
    next(row for row in (*ROWS, SAVING_PERCENT) if row.key == key) for key in KEYS
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class MechanismFacts(_Frozen):
    """A mechanism, in words.

    Attributes:
        key: its name.
        title: for people.
        family: what kind of market.
        summary: how it works, in one sentence.
        discloses: what members tell, in one sentence.
    """

    key: str
    title: str
    family: str
    summary: str
    discloses: str


class SetRun(_Frozen):
    """One mechanism on one community.

    Attributes:
        mechanism: its name.
        community: key of the community.
        place: of the community.
        season: of the community.
        size: of the community.
        tariff: of the community.
        failure: why there are no results; None if there are.
        wall_seconds: how long it took, others running beside it [s]; None if not known.
        values: the community's indicators.
    """

    mechanism: str
    community: str
    place: str
    season: str
    size: int
    tariff: str
    failure: str | None
    wall_seconds: float | None
    values: dict[str, Number]


class Figure(_Frozen):
    """An indicator over several communities.

    Attributes:
        mean: over those that have it; None if none has.
        worst: the worst of them.
        worst_community: where that is.
        count: how many have it.
    """

    mean: float | None = None
    worst: float | None = None
    worst_community: str | None = None
    count: int = 0


class Group(_Frozen):
    """A mechanism over the communities that have something in common.

    Attributes:
        mechanism: its name.
        dimension: what they have in common; ``all`` for the whole.
        value: which of these.
        runs: how many communities.
        failed: how many of them have no results.
        score_of_all: what was saved in all communities together over what could be; None if nothing could.
        figures: by indicator.
    """

    mechanism: str
    dimension: Dimension
    value: str
    runs: int
    failed: int
    score_of_all: float | None
    figures: dict[str, Figure]


class SetSheet(_Frozen):
    """A whole comparison over a set.

    Attributes:
        set_name: the set's name.
        set_version: its version.
        set_seed: its seed.
        set_sha256: digest of its manifest.
        licence: of its data.
        peerwatt_version: of the software that ran it.
        climates: of the set's places, by key.
        communities: keys of the communities compared on.
        mechanisms: those compared.
        rows: the indicators of the table.
        groups: the table.
        runs: what it is made of.
    """

    set_name: str
    set_version: str
    set_seed: int
    set_sha256: str
    licence: str
    peerwatt_version: str
    climates: dict[str, str]
    communities: list[str]
    mechanisms: list[MechanismFacts]
    rows: list[Row]
    groups: list[Group]
    runs: list[SetRun]

    def group(self, mechanism: str, dimension: Dimension, value: str = "all") -> Group:
        """A mechanism's line of the table."""
        return next(
            group
            for group in self.groups
            if (group.mechanism, group.dimension, group.value) == (mechanism, dimension, value)
        )

    def values(self, dimension: Dimension) -> list[str]:
        """What there is of a dimension, in order."""
        return list(dict.fromkeys(group.value for group in self.groups if group.dimension == dimension))


def set_sheet(
    manifest: Manifest, sha256: str, cases: Sequence[tuple[Community, Case]], outcomes: Sequence[Outcome]
) -> SetSheet:
    """Gather what the runs over a set came to.

    Args:
        manifest: the set's.
        sha256: digest of the manifest's file.
        cases: what was run.
        outcomes: how each ended, in the same order.

    Raises:
        InputError: results that are missing or damaged.
    """
    runs = []
    explained: dict[str, dict[str, str]] = {}
    facts: dict[str, MechanismFacts] = {}
    for (community, case), outcome in zip(cases, outcomes, strict=True):
        assert case.mechanism is not None, "cases of a set are markets"
        if case.mechanism not in facts:
            facts[case.mechanism] = MechanismFacts(**describe(case) | {"key": case.mechanism})
        values: dict[str, Number] = {}
        if outcome.failure is None:
            indicators = read_indicators(outcome.path)
            explained.update(indicators["definitions"])
            values = indicators["run"]["community"]
        runs.append(
            SetRun(
                mechanism=case.mechanism,
                community=community.key,
                place=community.place,
                season=community.season,
                size=community.size,
                tariff=community.tariff,
                failure=outcome.failure,
                wall_seconds=outcome.wall_seconds,
                values=values,
            )
        )
    rows = [
        row.model_copy(
            update={key: explained.get(row.key, {}).get(key, "") for key in ("explanation", "source")}
        )
        for row in SET_ROWS
    ]
    return SetSheet(
        set_name=manifest.name,
        set_version=manifest.version,
        set_seed=manifest.seed,
        set_sha256=sha256,
        licence=manifest.licence,
        peerwatt_version=version("peerwatt"),
        climates={place.key: f"{place.name}: {place.climate}" for place in manifest.places},
        communities=list(dict.fromkeys(run.community for run in runs)),
        mechanisms=list(facts.values()),
        rows=rows,
        groups=groups_of(runs, rows),
        runs=runs,
    )


def groups_of(runs: Sequence[SetRun], rows: Sequence[Row]) -> list[Group]:
    """The table: every mechanism over everything, then by each thing that communities have in common.

    Args:
        runs: of all mechanisms.
        rows: the indicators wanted.
    """
    mechanisms = list(dict.fromkeys(run.mechanism for run in runs))
    groups = []
    for dimension in DIMENSIONS:
        of = {id(run): "all" if dimension == "all" else str(getattr(run, dimension)) for run in runs}
        for value in dict.fromkeys(of.values()):
            for mechanism in mechanisms:
                own = [run for run in runs if run.mechanism == mechanism and of[id(run)] == value]
                groups.append(
                    Group(
                        mechanism=mechanism,
                        dimension=dimension,
                        value=value,
                        runs=len(own),
                        failed=sum(run.failure is not None for run in own),
                        score_of_all=_score_of_all(own),
                        figures={row.key: _figure(row, own) for row in rows},
                    )
                )
    return groups


def _figure(row: Row, runs: Iterable[SetRun]) -> Figure:
    found = [(float(value), run.community) for run in runs if (value := run.values.get(row.key)) is not None]
    if not found:
        return Figure()
    worst, community = (min if row.better == "higher" else max)(found, key=lambda pair: pair[0])
    return Figure(
        mean=sum(value for value, _ in found) / len(found),
        worst=worst,
        worst_community=community,
        count=len(found),
    )


def _score_of_all(runs: Iterable[SetRun]) -> float | None:
    saved = achievable = 0.0
    for run in runs:
        saving, alone, optimum = (
            run.values.get(key) for key in ("saving_eur", "alone_cost_eur", "optimum_cost_eur")
        )
        if saving is not None and alone is not None and optimum is not None:
            saved += saving
            achievable += alone - optimum
    return saved / achievable if achievable > 0 else None


def write_set_tables(folder: Path, sheet: SetSheet) -> list[Path]:
    """Write ``set.csv`` (the table), ``set-runs.csv`` (every run) and ``set-comparison.json`` (all of it).

    Args:
        folder: the comparison's folder.
        sheet: what was compared.

    Returns:
        The files.
    """
    keys = [row.key for row in sheet.rows]
    header = ["mechanism", "dimension", "value", "communities", "failed", "score_of_all"]
    header += [f"{key}_{part}" for key in keys for part in ("mean", "worst", "worst_community")]
    table: list[Sequence[object]] = [header]
    for group in sheet.groups:
        figures = [group.figures[key] for key in keys]
        start = [group.mechanism, group.dimension, group.value, group.runs, group.failed, group.score_of_all]
        table.append(
            [*start, *(part for each in figures for part in (each.mean, each.worst, each.worst_community))]
        )
    all_keys = list(dict.fromkeys(key for run in sheet.runs for key in run.values))
    about = ["mechanism", "community", "place", "season", "size", "tariff", "failure", "wall_seconds"]
    rows: list[Sequence[object]] = [[*about, *all_keys]]
    rows += [
        [*(getattr(run, name) for name in about), *(run.values.get(key) for key in all_keys)]
        for run in sheet.runs
    ]
    path = folder / "set-comparison.json"
    write_text_atomically(path, sheet.model_dump_json(indent=1) + "\n")
    return [write_csv(folder / "set.csv", table), write_csv(folder / "set-runs.csv", rows), path]
