"""Works out all of the replication that needs no fleet: published and corrected accounting, batteries, GA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.replication.accounting import (
    ALONE,
    CORRECTED,
    PUBLISHED,
    STEPS,
    Accounting,
    Day,
    count,
    simulated_day,
)
from runtime.replication.paper_case import (
    PAPER_SCENARIOS,
    PaperCase,
    PaperScenario,
)
from runtime.replication.request import StorageRequest, StoredDay
from runtime.replication.storage import Say, building_days, run_storage, stored_kwh
from runtime.replication.table import Figures, Increment, MethodCosts

Problem = tuple[bool, bool, bool]


@dataclass(frozen=True, eq=False)
class WorkedOut:
    """How the batteries were run in every problem.

    Attributes:
        case: the paper's case.
        generations: of the genetic algorithm.
        rule: the buildings' answers by problem.
        optimised: likewise.
        genetic: likewise, for the published and the corrected problem.
    """

    case: PaperCase
    generations: int
    rule: dict[Problem, list[StoredDay]]
    optimised: dict[Problem, list[StoredDay]]
    genetic: dict[Problem, list[StoredDay]]

    def day(self, scenario: PaperScenario, accounting: Accounting) -> Day:
        """A scenario's day, scenario 3 by Peerwatt's optimisation."""
        if scenario == "pv-only":
            return simulated_day(self.case, accounting, None)
        found = self.rule if scenario == "pv-battery-rule" else self.optimised
        return simulated_day(self.case, accounting, stored_kwh(found[accounting.problem]))

    def figures(self, scenario: PaperScenario, accounting: Accounting) -> Figures:
        """Index and cost of a scenario, scenario 3 by Peerwatt's optimisation."""
        day = self.day(scenario, accounting)
        return Figures.of(count(day, accounting, accounting.feed_in_eur_per_kwh(scenario)))

    def genetic_day(self, accounting: Accounting) -> Day:
        """Scenario 3 by the paper's genetic algorithm; accounting published or corrected."""
        return simulated_day(self.case, accounting, stored_kwh(self.genetic[accounting.problem]))

    def genetic_figures(self, accounting: Accounting) -> Figures:
        """Index and cost of scenario 3 by the paper's genetic algorithm."""
        feed_in = accounting.feed_in_eur_per_kwh("pv-battery-optimised")
        return Figures.of(count(self.genetic_day(accounting), accounting, feed_in))

    def increments(self) -> list[Increment]:
        """From the published accounting to the corrected one."""
        return [
            Increment(
                key=key,
                so_far={scenario: self.figures(scenario, accounting) for scenario in PAPER_SCENARIOS},
                alone={scenario: self.figures(scenario, ALONE[key]) for scenario in PAPER_SCENARIOS}
                if key in ALONE
                else {},
            )
            for key, accounting in STEPS
        ]

    def method_costs(self, accounting: Accounting) -> MethodCosts:
        """Cost of the day (eq. 1) by method; accounting published or corrected."""
        problem = accounting.problem
        genetic = self.genetic[problem]
        return MethodCosts(
            idle_eur=sum(day.idle_objective_eur for day in genetic),
            rule_eur=sum(day.objective_eur for day in self.rule[problem]),
            genetic_eur=sum(day.objective_eur for day in genetic),
            optimised_eur=sum(day.objective_eur for day in self.optimised[problem]),
            genetic_feasible=sum(bool(day.feasible) for day in genetic),
            genetic_worst_balance_kwh=max(day.worst_balance_kwh or 0.0 for day in genetic),
            genetic_seconds=sum(day.seconds for day in genetic),
        )


def work_out(case: PaperCase, generations: int, say: Say = lambda text: None) -> WorkedOut:
    """Have the batteries of all problems run by rule, optimisation and the paper's genetic algorithm.

    Args:
        case: the paper's case.
        generations: of the genetic algorithm, for each building.
        say: told how far it is.

    Returns:
        The batteries of every problem.

    Raises:
        PeerwattError: a process failed.
    """
    accountings = {each.problem: each for each in [*(step for _, step in STEPS), *ALONE.values()]}
    members = len(case.members)
    scenario: PaperScenario = "pv-battery-optimised"  # the rule looks at no price
    posed = [day for each in accountings.values() for day in building_days(case, each, scenario)]
    requests = [StorageRequest(method="rule", days=posed), StorageRequest(method="optimised", days=posed)]
    requests += [
        StorageRequest(
            method="genetic",
            days=[day.model_copy(update={"name": f"{day.name}, {words}"})],
            generations=generations,
        )
        for each, words in ((PUBLISHED, "as published"), (CORRECTED, "corrected"))
        for day in building_days(case, each, scenario)
    ]
    say("batteries by rule and by optimisation")
    rule, optimised, *genetic = run_storage(requests, say)
    single = [answer.days[0] for answer in genetic]
    return WorkedOut(
        case=case,
        generations=generations,
        rule=_by_problem(accountings, rule.days, members),
        optimised=_by_problem(accountings, optimised.days, members),
        genetic=_by_problem([PUBLISHED.problem, CORRECTED.problem], single, members),
    )


def _by_problem(
    problems: Sequence[Problem] | dict[Problem, Accounting], days: Sequence[StoredDay], members: int
) -> dict[Problem, list[StoredDay]]:
    return {
        problem: list(days[place * members : (place + 1) * members]) for place, problem in enumerate(problems)
    }
