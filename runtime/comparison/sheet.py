"""The decision sheet as data: ways of living side by side, each with its indicators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from runtime.comparison.cases import ALONE, Case
from runtime.comparison.runs import Outcome
from runtime.mechanisms import load_mechanism
from runtime.results.reading import read_indicators, read_records
from runtime.results.summary import notices
from runtime.scenario.resolved import ResolvedScenario

Number = float | int | None

Better = Literal["higher", "lower", ""]


class Row(BaseModel):
    """An indicator of the sheet, for people.

    Attributes:
        group: heading it stands under.
        key: its name in ``indicators.json``.
        title: in plain words, with its unit.
        digits: decimals shown.
        percent: shown in percent.
        better: which is better; empty where neither is.
        explanation: what it says.
        source: equation or paper.
    """

    model_config = ConfigDict(frozen=True)

    group: str
    key: str
    title: str
    digits: int
    percent: bool
    better: Better
    explanation: str = ""
    source: str = ""


def _row(group: str, key: str, title: str, digits: int, better: Better = "", percent: bool = False) -> Row:
    return Row(group=group, key=key, title=title, digits=digits, percent=percent, better=better)


ROWS: tuple[Row, ...] = (
    _row("Money", "bill_eur", "all members together pay [EUR]", 2, "lower"),
    _row("Money", "saving_eur", "saved against each alone [EUR]", 2, "higher"),
    _row("Money", "score", "of all that could be saved", 1, "higher", percent=True),
    _row("Money", "local_price_eur_per_kwh", "mean price among neighbours [EUR/kWh]", 4),
    _row("Energy", "local_sale_kwh", "traded among neighbours [kWh]", 1, "higher"),
    _row("Energy", "boundary_import_kwh", "from the grid [kWh]", 1, "lower"),
    _row("Energy", "boundary_export_kwh", "to the grid [kWh]", 1, "lower"),
    _row(
        "Energy", "boundary_self_sufficiency", "self-sufficiency of the community", 1, "higher", percent=True
    ),
    _row(
        "Energy",
        "boundary_self_consumption",
        "own production used in the community",
        1,
        "higher",
        percent=True,
    ),
    _row("Energy", "peak_import_kw", "highest import [kW]", 1, "lower"),
    _row("Energy", "co2_kg", "CO₂ of the grid's energy [kg]", 1, "lower"),
    _row("Fairness", "members_worse_off", "members who pay more than alone", 0, "lower"),
    _row("Fairness", "saving_min_eur", "smallest saving of a member [EUR]", 2, "higher"),
    _row("Fairness", "saving_max_eur", "largest saving of a member [EUR]", 2),
    _row("Fairness", "saving_jain", "evenness of savings (Jain; 1 is even)", 2, "higher"),
    _row("Effort", "rounds", "rounds of negotiation", 0, "lower"),
    _row("Effort", "messages", "messages sent", 0, "lower"),
    _row("Effort", "negotiation_seconds", "negotiating, on this machine [s]", 1, "lower"),
    _row("Privacy", "disclosed_numbers_per_slot", "numbers told per member and slot", 1, "lower"),
)
"""What the sheet shows of the indicators, in its order; all of them are in the CSV."""


class Way(BaseModel):
    """One way of living: a setting, or a community under a mechanism.

    Attributes:
        key: names its run's folder.
        title: for people.
        family: what kind of market; ``none`` where everybody is alone.
        summary: how it works, in one sentence.
        discloses: what members tell, in one sentence.
        failure: why it has no results; None if it has.
        wall_seconds: how long its run took.
        community: the community's indicators.
        members: each member's.
        notices: what makes its figures less than they seem.
        sweep: what was varied, and to what.
    """

    key: str
    title: str
    family: str
    summary: str
    discloses: str
    failure: str | None = None
    wall_seconds: float | None = None
    community: dict[str, Number] = {}
    members: dict[str, dict[str, Number]] = {}
    notices: list[str] = []
    sweep: tuple[str, float] | None = None

    @property
    def market(self) -> bool:
        """Whether members trade."""
        return self.family != "none"


class Sheet(BaseModel):
    """A whole comparison.

    Attributes:
        scenario: its name.
        community: the community's name.
        members: who takes part, with their kinds.
        days: the sessions, by their first day.
        slots: number of slots of all sessions.
        tariff: the grid's prices in words.
        rows: the indicators shown.
        ways: the ways compared.
        sweeps: the same for what was varied.
    """

    scenario: str
    community: str
    members: dict[str, str]
    days: list[str]
    slots: int
    tariff: str
    rows: list[Row]
    ways: list[Way]
    sweeps: list[Way] = []

    @property
    def done(self) -> list[Way]:
        """The ways that have results."""
        return [way for way in self.ways if way.failure is None]

    @property
    def markets(self) -> list[Way]:
        """The markets that have results."""
        return [way for way in self.done if way.market]

    def best(self, row: Row) -> list[str]:
        """Keys of the markets that are best in a row; none where there is no best."""
        values = {way.key: value for way in self.markets if (value := way.community.get(row.key)) is not None}
        if not row.better or len(values) < 2:
            return []
        shown = {key: round(value, row.digits + (2 if row.percent else 0)) for key, value in values.items()}
        best = (max if row.better == "higher" else min)(shown.values())
        found = [key for key, value in shown.items() if value == best]
        return found if len(found) < len(values) else []


def sheet_of(resolved: ResolvedScenario, outcomes: Sequence[Outcome], swept: Sequence[Outcome]) -> Sheet:
    """Gather what the runs of a comparison came to.

    Args:
        resolved: the scenario compared.
        outcomes: of the comparison's cases.
        swept: of the sweeps' cases.

    Raises:
        InputError: results that are missing or damaged.
    """
    definitions: dict[str, Any] = {}
    ways = [_way(outcome, definitions) for outcome in outcomes]
    sweeps = [_way(outcome, definitions) for outcome in swept]
    there = {key for way in ways for key, value in way.community.items() if value is not None}
    rows = [
        row.model_copy(
            update={
                "explanation": definitions[row.key]["explanation"],
                "source": definitions[row.key]["source"],
            }
        )
        for row in ROWS
        if row.key in there
    ]
    return Sheet(
        scenario=resolved.name,
        community=resolved.scenario.community.name,
        members={member.name: member.kind for member in resolved.scenario.members},
        days=[f"{horizon.local(0):%Y-%m-%d}" for horizon in resolved.horizons],
        slots=sum(horizon.slots for horizon in resolved.horizons),
        tariff=_tariff_words(resolved),
        rows=rows,
        ways=ways,
        sweeps=sweeps,
    )


def _way(outcome: Outcome, definitions: dict[str, Any]) -> Way:
    case = outcome.case
    way = Way(**describe(case), failure=outcome.failure, wall_seconds=outcome.wall_seconds, sweep=case.sweep)
    if outcome.failure is not None:
        return way
    indicators = read_indicators(outcome.path)
    definitions.update(indicators["definitions"])
    coordinator, _ = read_records(outcome.path)
    return way.model_copy(
        update={
            "community": indicators["run"]["community"],
            "members": indicators["run"]["members"],
            "notices": notices(coordinator, indicators),
        }
    )


def describe(case: Case) -> dict[str, str]:
    """A case in words: key, title, family, summary and what members disclose."""
    if case.mechanism is None:
        title = dict(ALONE)[case.setting]
        summary = {
            "pv-only": "Every member uses its own production and the grid; batteries stand still.",
            "pv-battery-rule": "Every battery stores what is left over and gives it back when it is short, "
            "blind to prices.",
            "pv-battery-optimised": "Every member plans its own battery at the grid's tariffs.",
        }[case.setting]
        return {
            "key": case.key,
            "title": title,
            "family": "none",
            "summary": summary,
            "discloses": "What the grid's meter shows, as for any customer.",
        }
    kind = load_mechanism(case.mechanism)
    return {
        "key": case.key,
        "title": kind.title,
        "family": kind.family,
        "summary": kind.summary,
        "discloses": kind.discloses,
    }


def _tariff_words(resolved: ResolvedScenario) -> str:
    def words(rows: list[list[Any]]) -> str:
        prices = [float(price) for row in rows for price in row]
        low, high = min(prices), max(prices)
        return f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"

    asked, paid = words(resolved.import_price_eur_per_kwh), words(resolved.export_price_eur_per_kwh)
    return f"The grid asks {asked} EUR/kWh and pays {paid} EUR/kWh."
