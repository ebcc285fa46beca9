"""How good members' agreed plans are proven to be: a table, and one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from runtime.records import AgreedPlan, CoordinatorRecord, MemberRecord
from runtime.results.reading import session_of
from runtime.results.table import Cell, Table

_COLUMNS = {
    "session": "INTEGER",
    "member": "TEXT",
    "round": "INTEGER",
    "certificate": "TEXT",
    "cost_eur": "REAL",
    "objective_eur": "REAL",
    "lower_bound_eur": "REAL",
    "certified_loss": "REAL",
    "rounds_planned": "INTEGER",
    "planning_seconds": "REAL",
}
_ALWAYS = {"session", "member", "rounds_planned", "planning_seconds"}


def plans_table(coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]) -> Table:
    """The plan each member ran, what it counts and what is proven of it.

    Args:
        coordinator: the coordinator's record.
        members: the members' own records by name.

    Returns:
        One row a member and session. What describes the plan is empty where the member answered no price
        signal in time or followed a schedule of the coordinator's.

    Raises:
        InputError: an array of a record does not cover its horizon.
    """
    rows: list[tuple[Cell, ...]] = []
    for session in coordinator.sessions:
        for member, record in members.items():
            own = session_of(record, session)
            if own is None:
                continue
            plan = own.plan
            described: tuple[Cell, ...] = (None,) * 6
            if plan is not None:
                described = (
                    plan.round,
                    plan.certificate,
                    plan.cost_eur,
                    plan.objective_eur,
                    plan.lower_bound_eur,
                    plan.certified_loss,
                )
            rows.append((session.session, member, *described, own.rounds_planned, own.planning_seconds))
    return Table("plans", _COLUMNS, ("session", "member"), rows, frozenset(_COLUMNS) - _ALWAYS)


def certificates(members: Mapping[str, MemberRecord]) -> dict[str, Any]:
    """How many plans of members with a battery are proven how good.

    Args:
        members: the members' own records by name.

    Returns:
        ``optimal``, ``bounded`` and ``none``: numbers of plans; ``worst_certified_loss``: of the bounded
        ones, None without any; ``bounded_by_tariff``: how many of these were made for prices that pay more
        for exports than imports cost, where the bound is loose; ``uncertified_strategies``: strategies of the
        members whose plans have no certificate.
    """
    planned = [
        (record.strategy, own.plan)
        for record in members.values()
        for own in record.sessions
        if own.plan is not None and own.plan.stored_kwh is not None
    ]
    count = Counter(plan.certificate for _, plan in planned)
    bounded = [plan for _, plan in planned if plan.certificate == "bounded"]
    losses = [plan.certified_loss for plan in bounded if plan.certified_loss is not None]
    return {
        "optimal": count["optimal"],
        "bounded": count["bounded"],
        "none": count["none"],
        "worst_certified_loss": max(losses, default=None),
        "bounded_by_tariff": sum(map(_pays_more_than_it_costs, bounded)),
        "uncertified_strategies": sorted({s for s, plan in planned if plan.certificate == "none"}),
    }


def certificates_line(found: Mapping[str, Any]) -> str | None:
    """What :func:`certificates` found, as one line; None where no battery was planned."""
    parts = []
    if found["optimal"]:
        parts.append(f"{found['optimal']} proven optimal")
    if found["bounded"]:
        text = f"{found['bounded']} bounded, worst certified loss {_loss(found['worst_certified_loss'])}"
        if found["bounded_by_tariff"]:
            text += " (no tight certificate where the feed-in tariff exceeds the import price)"
        parts.append(text)
    if found["none"]:
        parts.append(f"{found['none']} without certificate ({', '.join(found['uncertified_strategies'])})")
    return f"Battery plans: {'; '.join(parts)}." if parts else None


def _pays_more_than_it_costs(plan: AgreedPlan) -> bool:
    pairs = zip(plan.export_price_eur_per_kwh, plan.import_price_eur_per_kwh, strict=True)
    return any(given > taken for given, taken in pairs)


def _loss(share: float | None) -> str:
    if share is None:
        return "unknown"
    percent = 100.0 * share
    return f"{percent:.{2 if percent < 1 else 1}f} % of the battery's value"
