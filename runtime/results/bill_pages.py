"""Bills as pages: one for each member, which is about that member only, and one that lists all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from runtime.bookkeeping import BILL_KINDS, Bill
from runtime.files import write_text_atomically
from runtime.pages import render_page
from runtime.records import CoordinatorRecord, MemberRecord, SessionRecord
from runtime.results.bill_charts import exchange_chart, share_bar
from runtime.results.bill_words import WORDS, day_words, period_words, session_day, session_days
from runtime.results.reading import session_of
from runtime.rundir import RunDirectory

PAGE = Path(__file__).with_name("bill.html.template")
OVERVIEW = Path(__file__).with_name("bills.html.template")

MOST_SESSIONS_BY_SLOT = 4
"""Of more sessions than this the chart shows days instead of slots, for which bills are enough."""

NOTHING_KWH = 0.005
"""Less than this is not shown as an energy: it would read 0.00."""

_TAKEN, _GIVEN = ("from-neighbours", "from-grid"), ("to-neighbours", "to-grid")


@dataclass(frozen=True)
class Line:
    """A line of the bill over the whole run; energies [kWh], a price only where there is energy."""

    words: str
    energy_kwh: float | None
    peak_kw: float | None
    price_ct_per_kwh: float | None
    amount_eur: Decimal


@dataclass(frozen=True)
class Flow:
    """A part of what came in or went out: colour, words and energy [kWh]."""

    colour: str
    words: str
    energy_kwh: float


@dataclass(frozen=True)
class Day:
    """What a member used and exchanged [kWh] in the sessions that began on a day, and the amount."""

    day: date
    name: str
    load_kwh: float | None
    pv_kwh: float | None
    neighbours_in_kwh: float
    grid_in_kwh: float
    neighbours_out_kwh: float
    grid_out_kwh: float
    amount_eur: Decimal


@dataclass(frozen=True)
class MemberBill:
    """All that a member's page says; ``None`` where the member left no record to say it from."""

    member: str
    kind: str
    lines: list[Line]
    days: list[Day]
    incoming: list[Flow]
    outgoing: list[Flow]
    amount_eur: Decimal
    alone_eur: float | None
    unread_slots: int
    opted_out: list[str]
    apart: list[str]

    @property
    def saving_eur(self) -> float | None:
        """What the community spared the member; below 0 if it pays more."""
        return None if self.alone_eur is None else self.alone_eur - float(self.amount_eur)

    @property
    def load_kwh(self) -> float | None:
        """What it used."""
        used = [day.load_kwh for day in self.days if day.load_kwh is not None]
        return sum(used) if len(used) == len(self.days) else None


def write_bill_pages(
    run: Path,
    coordinator: CoordinatorRecord,
    members: Mapping[str, MemberRecord],
    indicators: Mapping[str, Any],
    *,
    period: str | None = None,
    running: bool = False,
) -> list[Path]:
    """Write ``bills/MEMBER.html`` for each member, and ``bills.html``.

    Args:
        run: the run's directory.
        coordinator: the coordinator's record.
        members: the members' own records by name.
        indicators: content of ``indicators.json``.
        period: what the bills are for, in words; the days of all sessions if None.
        running: whether the run goes on, so that members' own records are still to come.

    Returns:
        The files, that of all members first.
    """
    if period is None:
        period = period_words(coordinator.sessions)
    found = [
        member_bill(name, coordinator, members.get(name), indicators["run"]["members"].get(name, {}))
        for name in coordinator.members
    ]
    overview = RunDirectory(run).bills_html
    market = coordinator.setting == "community"
    page = render_page(
        OVERVIEW,
        community=coordinator.community,
        period=period,
        bills=found,
        market=market,
        compared=market and not running,
    )
    write_text_atomically(overview, page)
    files = [overview]
    for bill in found:
        path = RunDirectory(run).bill_html(bill.member)
        page = render_page(
            PAGE,
            community=coordinator.community,
            period=period,
            bill=bill,
            market=market,
            running=running,
            bars={name: _bar(flows, bill) for name, flows in (("in", bill.incoming), ("out", bill.outgoing))},
            charts=_charts(bill, coordinator),
            by_slot=_by_slot(coordinator.sessions),
            contracts=any(session.contracts for session in coordinator.sessions),
            pooled=any(
                price is not None
                for session in coordinator.sessions
                for price in session.local_price_eur_per_kwh
            ),
            slot_minutes=coordinator.sessions[0].horizon.slot_minutes if coordinator.sessions else 0,
        )
        write_text_atomically(path, page)
        files.append(path)
    return files


def member_bill(
    member: str, coordinator: CoordinatorRecord, record: MemberRecord | None, values: Mapping[str, Any]
) -> MemberBill:
    """Put together what a member's page says.

    Args:
        member: its name.
        coordinator: the coordinator's record.
        record: its own; None without one.
        values: its indicators of the whole run.
    """
    bills = [bill for s in coordinator.sessions for bill in s.bills if bill.member == member]
    days = _days(coordinator.sessions, bills, record)
    incoming, outgoing = _flows(days, record)
    return MemberBill(
        member=member,
        kind=record.kind if record else "",
        lines=_lines(bills),
        days=days,
        incoming=incoming,
        outgoing=outgoing,
        amount_eur=sum((bill.amount_eur for bill in bills), Decimal("0.00")),
        alone_eur=values.get("alone_cost_eur"),
        unread_slots=sum(
            each.quality != "metered"
            for session in coordinator.sessions
            for each in session.deliveries
            if each.member == member
        ),
        opted_out=[
            day_words(day) for day in session_days(s for s in coordinator.sessions if member in s.opted_out)
        ],
        apart=[day_words(day) for day in session_days(s for s in coordinator.sessions if member in s.apart)],
    )


def _lines(bills: list[Bill]) -> list[Line]:
    lines = []
    for kind in BILL_KINDS:
        items = [item for bill in bills for item in bill.items if item.kind == kind]
        if not items:
            continue
        energy_kwh = float(sum(item.energy_kwh for item in items))
        exact_eur = float(sum(item.exact_eur for item in items))
        lines.append(
            Line(
                words=WORDS[kind],
                energy_kwh=energy_kwh or None,
                peak_kw=float(max(item.peak_kw for item in items)) or None,
                # Corrections up and down, at two tariffs: a mean price of them would say nothing.
                price_ct_per_kwh=(
                    100 * abs(exact_eur) / energy_kwh if energy_kwh and kind != "correction" else None
                ),
                amount_eur=sum((item.amount_eur for item in items), Decimal(0)),
            )
        )
    return lines


def _days(sessions: Sequence[SessionRecord], bills: Sequence[Bill], record: MemberRecord | None) -> list[Day]:
    """What a member used and exchanged, by the day on which sessions begin: a rolling horizon has several."""
    days = []
    for day, group in groupby(zip(sessions, bills, strict=True), key=lambda pair: session_day(pair[0])):
        pairs = [*group]
        own = [session_of(record, session) if record else None for session, _ in pairs]
        known = [each for each in own if each is not None]
        whole = len(known) == len(pairs)
        of_day = [bill for _, bill in pairs]
        days.append(
            Day(
                day=day,
                name=day_words(day),
                load_kwh=sum(sum(each.load_kwh) for each in known) if whole else None,
                pv_kwh=sum(sum(each.pv_kwh) for each in known) if whole else None,
                neighbours_in_kwh=float(sum(bill.local_purchase_kwh for bill in of_day)),
                grid_in_kwh=float(sum(bill.grid_import_kwh for bill in of_day)),
                neighbours_out_kwh=float(sum(bill.local_sale_kwh for bill in of_day)),
                grid_out_kwh=float(sum(bill.grid_export_kwh for bill in of_day)),
                amount_eur=sum((bill.amount_eur for bill in of_day), Decimal(0)),
            )
        )
    return days


def _flows(days: list[Day], record: MemberRecord | None) -> tuple[list[Flow], list[Flow]]:
    """What came in and what became of it; the difference is what a battery kept, lost or gave."""
    incoming = [
        Flow("from-neighbours", "from neighbours", sum(day.neighbours_in_kwh for day in days)),
        Flow("from-grid", "from the grid", sum(day.grid_in_kwh for day in days)),
    ]
    outgoing = [
        Flow("to-neighbours", "given to neighbours", sum(day.neighbours_out_kwh for day in days)),
        Flow("to-grid", "given to the grid", sum(day.grid_out_kwh for day in days)),
    ]
    loads, yields = [day.load_kwh for day in days], [day.pv_kwh for day in days]
    used = [value for value in loads if value is not None]
    produced = [value for value in yields if value is not None]
    if len(used) == len(days):
        incoming.insert(0, Flow("roof", "from your own roof", sum(produced)))
        outgoing.insert(0, Flow("use", "used by yourself", sum(used)))
        kept_kwh = sum(flow.energy_kwh for flow in incoming) - sum(flow.energy_kwh for flow in outgoing)
        store = "your battery" if record and record.battery_capacity_kwh else "other devices"
        if kept_kwh > 0:
            outgoing.append(Flow("store", f"kept or lost by {store}", kept_kwh))
        else:
            incoming.append(Flow("store", f"out of {store}, which held it before", -kept_kwh))
    return (
        [flow for flow in incoming if flow.energy_kwh >= NOTHING_KWH],
        [flow for flow in outgoing if flow.energy_kwh >= NOTHING_KWH],
    )


def _bar(flows: list[Flow], bill: MemberBill) -> Markup:
    whole_kwh = max(sum(flow.energy_kwh for flow in side) for side in (bill.incoming, bill.outgoing))
    return share_bar({flow.colour: flow.energy_kwh for flow in flows}, whole_kwh)


def _by_slot(sessions: Sequence[SessionRecord]) -> bool:
    """Whether charts show slots: of many sessions they show days."""
    return len(sessions) <= MOST_SESSIONS_BY_SLOT


def _charts(bill: MemberBill, coordinator: CoordinatorRecord) -> list[tuple[str, Markup]]:
    """What was exchanged over the day, a chart a session; over many sessions one chart of days."""
    if _by_slot(coordinator.sessions):
        return [_slot_chart(bill.member, session) for session in coordinator.sessions]
    days = bill.days
    every = max(1, -(-len(days) // 8))
    ticks = {n + 0.5: f"{each.day.day}.{each.day.month}." for n, each in enumerate(days) if n % every == 0}
    title = "Energy exchanged day by day"
    taken = [[day.neighbours_in_kwh for day in days], [day.grid_in_kwh for day in days]]
    given = [[day.neighbours_out_kwh for day in days], [day.grid_out_kwh for day in days]]
    sides = [dict(zip(names, kwh, strict=True)) for names, kwh in ((_TAKEN, taken), (_GIVEN, given))]
    return [(title, exchange_chart(sides[0], sides[1], ticks, "kWh", title))]


def _slot_chart(member: str, session: SessionRecord) -> tuple[str, Markup]:
    hours = session.horizon.slot_hours
    powers = {
        name: [energy_kwh / hours for energy_kwh in values]
        for name, values in _exchange_kwh(member, session).items()
    }
    starts = [session.horizon.local(slot) for slot in range(session.horizon.slots)]
    every = 6 if len(starts) * hours > 12 else 1
    ticks: dict[float, str] = {
        slot: f"{start:%H:%M}"
        for slot, start in enumerate(starts)
        if start.minute == 0 and start.hour % every == 0 and slot
    }
    title = day_words(starts[0].date())
    sides = [{name: powers[name] for name in side} for side in (_TAKEN, _GIVEN)]
    return title, exchange_chart(sides[0], sides[1], ticks, "kW", f"Power exchanged on {title}")


def _exchange_kwh(member: str, session: SessionRecord) -> dict[str, list[float]]:
    """Energy with neighbours and grid by slot, shape (slots,) each [kWh]."""
    found = {name: [0.0] * session.horizon.slots for name in _TAKEN + _GIVEN}
    sides = {
        "contract-purchase": "from-neighbours",
        "local-purchase": "from-neighbours",
        "grid-import": "from-grid",
        "contract-sale": "to-neighbours",
        "local-sale": "to-neighbours",
        "grid-export": "to-grid",
    }
    for entry in session.ledger:
        if member in entry.parties() and (name := sides.get(entry.bill_kind(member))):
            found[name][entry.slot] += float(entry.energy_kwh)
    return found
