"""What a person reads first: who paid what, what the community gained, and what to be careful about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from runtime.records import CoordinatorRecord, SessionRecord
from runtime.results.plan_certificates import certificates_line
from runtime.wording import counted

_DRAINED = 0.05
"""Share of import or export from which on it is worth a word that batteries end emptier than they began."""

FILE_WIDTH = 120
"""Characters a line when the summary goes to a file or a pipe."""

_MEMBER_COLUMNS = (
    ("load_kwh", "load\n[kWh]", ".1f"),
    ("pv_kwh", "PV\n[kWh]", ".1f"),
    ("import_kwh", "import\n[kWh]", ".1f"),
    ("export_kwh", "export\n[kWh]", ".1f"),
    ("alone_cost_eur", "alone\n[EUR]", ".2f"),
    ("billed_eur", "bill\n[EUR]", ".2f"),
    ("saving_eur", "saving\n[EUR]", "+.2f"),
    ("saving_percent", "saving\n[%]", "+.1f"),
    ("self_sufficiency", "self-\nsuff.", ".1%"),
)

_COMMUNITY_ROWS = (
    ("boundary_self_sufficiency", "self-sufficiency at the community's boundary", ".1%"),
    ("self_consumption", "self-consumption at the meters", ".1%"),
    ("boundary_self_consumption", "self-consumption at the community's boundary", ".1%"),
    ("local_sale_kwh", "traded between members", ".1f"),
    ("boundary_import_kwh", "import from the grid", ".1f"),
    ("boundary_export_kwh", "export to the grid", ".1f"),
    ("peak_import_kw", "peak import", ".1f"),
    ("load_factor", "load factor of the import", ".1%"),
    ("local_price_eur_per_kwh", "mean price of local trade", ".4f"),
    ("price_spread_eur_per_kwh", "mean price paid less mean price earned", ".4f"),
    ("saving_jain", "fairness of the savings (Jain, 1 is equal)", ".2f"),
    ("saving_gini", "inequality of the savings (Gini, 0 is equal)", ".2f"),
    ("members_worse_off", "members worse off than alone", "d"),
    ("score", "share of the achievable saving", ".1%"),
    ("co2_kg", "CO₂ of the import from the grid", ".1f"),
    ("rounds", "price rounds", "d"),
)


_PART_COLUMNS = (
    ("members", "members", "d"),
    ("saving_eur", "saving\n[EUR]", "+.2f"),
    ("boundary_self_sufficiency", "self-\nsuff.", ".1%"),
    ("from_other_kwh", "from the\nother [kWh]", ".1f"),
    ("to_other_kwh", "to the\nother [kWh]", ".1f"),
    ("paid_other_eur", "paid it\n[EUR]", "+.2f"),
    ("alone_slots", "slots\nalone", "d"),
)


def summary(coordinator: CoordinatorRecord, indicators: Mapping[str, Any]) -> dict[str, Any]:
    """The summary as data, ready for JSON.

    Args:
        coordinator: the coordinator's record.
        indicators: content of ``indicators.json``.

    Returns:
        ``community``, ``setting``, ``mechanism``, ``sessions`` (number), ``units`` (indicator to unit),
        ``run`` (the indicators of the whole run: ``community`` and ``members``) and ``notices``.
    """
    return {
        "community": coordinator.community,
        "setting": coordinator.setting,
        "mechanism": coordinator.mechanism,
        "sessions": len(coordinator.sessions),
        "units": {name: d["unit"] for name, d in indicators["definitions"].items()},
        "run": indicators["run"],
        "notices": notices(coordinator, indicators),
    }


def notices(coordinator: CoordinatorRecord, indicators: Mapping[str, Any]) -> list[str]:
    """Whatever makes the figures less than they seem, one sentence each.

    Args:
        coordinator: the coordinator's record.
        indicators: content of ``indicators.json``.
    """
    found = []
    if coordinator.absent:
        found.append(f"Never joined: {', '.join(coordinator.absent)}.")
    unrecorded = [name for name, values in indicators["run"]["members"].items() if values["load_kwh"] is None]
    if unrecorded:
        found.append(
            f"Left no record of their own, so load and savings are unknown: {', '.join(unrecorded)}."
        )
    late = Counter(name for s in coordinator.sessions for r in s.rounds for name in r.late)
    if late:
        said = ", ".join(f"{name} ({counted(count, 'round')})" for name, count in late.items())
        found.append(f"Did not answer in time and kept their last position: {said}.")
    quality = Counter((d.quality, d.member) for s in coordinator.sessions for d in s.deliveries)
    for kind, words in (
        ("estimated", "Energy estimated for want of meter readings"),
        ("missing", "No delivery in time, settled at the agreed position"),
    ):
        of_kind = {member: count for (q, member), count in quality.items() if q == kind}
        if of_kind:
            said = ", ".join(f"{name} ({counted(count, 'slot')})" for name, count in of_kind.items())
            found.append(f"{words}: {said}.")
    alone = sum(
        len(s.settled_together()[slot]) > 1
        for s in coordinator.sessions
        if s.communities
        for slot in {delivery.slot for delivery in s.deliveries}
    )
    if alone:
        found.append(
            f"Each of the two communities was settled alone in {counted(alone, 'slot')}: their coordinators "
            "did not hear each other in time."
        )
    unconfirmed = [
        f"{s.horizon.local(slot):%Y-%m-%d %H:%M}"
        for s in coordinator.sessions
        for slot in sorted({slot for part in s.communities for slot in part.unconfirmed_slots})
    ]
    if unconfirmed:
        found.append(
            f"Settled as not traded between the communities: {', '.join(unconfirmed)}. Only one coordinator "
            "knew of the trade when the session closed; its members were told a bill line with it."
        )
    trades = coordinator.setting == "community"
    suspended = [(s, slot) for s in coordinator.sessions if trades for slot in s.suspended_slots]
    if suspended:
        session, slot = suspended[0]
        found.append(
            f"Trade was suspended in {counted(len(suspended), 'slot')}, the first at "
            f"{session.horizon.local(slot):%Y-%m-%d %H:%M}: {_why_suspended(session, slot)} there."
        )
    above = [e for s in coordinator.sessions for e in s.ledger if e.kind == "excess-charge"]
    if above:
        slots = len({(entry.session, entry.slot) for entry in above})
        energy_kwh, charge_eur = (
            float(sum(getattr(e, f) for e in above)) for f in ("energy_kwh", "amount_eur")
        )
        found.append(
            f"Above the limit of the community's connection in {counted(slots, 'slot')}: "
            f"{energy_kwh:.2f} kWh, charged with {charge_eur:.2f} EUR."
        )
    total = indicators["run"]["community"]
    drained_kwh = -(total.get("stored_change_kwh") or 0.0)
    exchanged_kwh = max(total.get(name) or 0.0 for name in ("import_kwh", "export_kwh"))
    if drained_kwh > max(_DRAINED * exchanged_kwh, 0.05):
        found.append(
            f"The batteries ended with {drained_kwh:.1f} kWh less than they began with, which bills and the "
            "self-sufficiency have as a gain (alone too): `soc_end_min` of a battery asks for it back."
        )
    if total["members_worse_off"]:
        worse = [n for n, v in indicators["run"]["members"].items() if (v["saving_eur"] or 0.0) < 0]
        found.append(f"Pay more than alone: {', '.join(worse)}.")
    return found


def _why_suspended(session: SessionRecord, slot: int) -> str:
    if session.grid_export_price_eur_per_kwh[slot] > session.grid_import_price_eur_per_kwh[slot]:
        return "the feed-in tariff is above the import tariff"
    return "what trade would spare is below the local fee"


def print_summary(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the tables and notices of a summary.

    Args:
        result: what ``summary`` or ``runtime.results.write_results`` returned.
        console: where to; standard output if none is given.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=FILE_WIDTH)
    plans = certificates_line(result["plans"]) if "plans" in result else None
    console.print(
        Group(
            _member_table(result, console.width),
            _community_table(result),
            *([_parts_table(result["run"]["communities"])] if "communities" in result["run"] else []),
            *([Text(plans)] if plans else []),
            *([Text()] if result["notices"] else []),
            *map(_notice, result["notices"]),
        )
    )


def _member_table(result: Mapping[str, Any], width: int) -> Table:
    setting = result["setting"]
    ran = f"community market, {result['mechanism']}" if setting == "community" else setting
    title = f"{result['community']}: {ran}"
    table = Table(
        title=Text(title),
        title_justify="left",
        show_footer=True,
        box=None,
        header_style="bold",
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    total = result["run"]["community"]
    members = result["run"]["members"]
    columns = {
        heading: [_member_text(values, name, form) for values in (*members.values(), total)]
        for name, heading, form in _MEMBER_COLUMNS
    }
    numbers = sum(1 + max(map(len, (*cells, *heading.split("\n")))) for heading, cells in columns.items())
    # a narrow terminal cuts names, never numbers
    table.add_column(
        "member", footer="community", footer_style="bold", no_wrap=True, max_width=max(width - numbers, 9)
    )
    for heading, cells in columns.items():
        table.add_column(Text(heading), footer=cells[-1], footer_style="bold", justify="right", no_wrap=True)
    for member, *cells in zip(members, *(cells[:-1] for cells in columns.values()), strict=True):
        table.add_row(Text(member), *cells)
    return table


def _community_table(result: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 1))
    table.add_row()
    for name, words, form in _COMMUNITY_ROWS:
        if name == "co2_kg" and result["run"]["community"][name] is None:
            continue  # most scenarios do not tell the grid's intensity
        unit = result["units"][name] if form.endswith("f") and result["units"][name] != "1" else ""
        table.add_row(words, Text(_text(result["run"]["community"][name], form), justify="right"), unit)
    return table


def _parts_table(communities: Mapping[str, Any]) -> Table:
    """Two communities side by side, and what they exchanged."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("community", no_wrap=True)
    for _, heading, _ in _PART_COLUMNS:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for name, values in communities.items():
        table.add_row(Text(name), *(_text(values[field], form) for field, _, form in _PART_COLUMNS))
    return table


def _notice(sentence: str) -> Text:
    return Text(f"! {sentence}", style="yellow")


def _member_text(values: Mapping[str, Any], name: str, form: str) -> str:
    if name == "saving_eur" and values[name] is not None:
        # the difference of the two figures beside it, as on the bill, which is in whole cents
        return _text(round(values["alone_cost_eur"], 2) - round(values["billed_eur"], 2), form)
    return _text(values[name], form)


def _text(value: float | int | None, form: str) -> str:
    if value is None:
        return "–"
    text = format(value, form)
    # a saving of ±0.001 EUR is no saving, neither "−0.00" nor "+0.00"
    return text.lstrip("+-") if float(text.strip("+-%")) == 0 else text
