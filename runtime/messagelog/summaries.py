"""What a message says, in one line of plain words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from runtime.messagelog.facts import BodyFacts
from runtime.protocol.envelope import Envelope
from runtime.wording import counted

_LONGEST = 160
_MOST_DIGITS = 40
_SHOWN_APART = frozenset({"type", "session", "round", "slot"})

Fields = dict[str, Any]


def summarise(envelope: Envelope, facts: BodyFacts) -> str:
    """Say in a line what a message says; types not known here are listed key by key.

    Args:
        envelope: the message.
        facts: what it is about, with its fields.
    """
    summariser = SUMMARISERS.get(facts.type or "")
    if summariser is not None:
        try:
            return printable(summariser(facts.fields))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            pass  # Not the shape its type promises; a log shows refused messages too.
    return printable(_generic(facts.fields) or envelope.body)


def printable(text: str) -> str:
    """Shorten a text to one line and escape what would act on a terminal instead of showing."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return escaped(cut)


def escaped(text: str) -> str:
    """Escape every character that does not show as itself."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _generic(fields: Fields) -> str:
    parts = [f"{key} {_brief(value)}" for key, value in fields.items() if key not in _SHOWN_APART]
    return ", ".join(parts)


def _brief(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return f"[{counted(len(value), 'value')}]"
    if isinstance(value, dict):
        return f"{{{', '.join(value)}}}"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _energy(values: list[float]) -> str:
    return f"{sum(values):.3f} kWh"


def plainly(number: Decimal | str) -> str:
    """Write an exact number in full, without an exponent, trailing zeros or a sign of zero.

    Args:
        number: a decimal, as messages hold it.

    Raises:
        ArithmeticError: the text is no number, or one too long to be an energy or amount.
    """
    exact = Decimal(number)
    if not exact:
        return "0"
    if not exact.is_finite() or abs(exact.adjusted()) > _MOST_DIGITS:
        raise InvalidOperation(f"no energy or amount: {number}")
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _price_range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"


def _prices(body: Fields) -> str:
    taken = _price_range(body["import_price_eur_per_kwh"])
    given = _price_range(body["export_price_eur_per_kwh"])
    return f"{taken} for energy taken, {given} EUR/kWh for energy given"


def _net(body: Fields) -> str:
    imported, exported = body["grid_import_kwh"], body["grid_export_kwh"]
    return f"takes {_energy(imported)}, gives {_energy(exported)} in {counted(len(imported), 'slot')}"


def _admission(body: Fields) -> str:
    sessions = counted(len(body["sessions"]), "session")
    return f"admitted to {body['community']}: mechanism {body['mechanism']}, {sessions}"


def _price_signal(body: Fields) -> str:
    told = "the grid's tariffs" if body["round"] == 0 else "prices"
    steps = len(body.get("steps", ()))
    changes = f"; they change at {counted(steps, 'threshold')} a slot" if steps else ""
    return f"{told}: {_prices(body)}{changes}"


def _declaration(body: Fields) -> str:
    battery = body["battery"]
    has = "no battery" if battery is None else f"a battery of {battery['capacity_kwh']:g} kWh"
    needs = body["residual_load_kwh"]
    return f"needs {_energy(needs)} in {counted(len(needs), 'slot')}; has {has}"


def _bargain_call(body: Fields) -> str:
    who = counted(len(body["members"]), "member")
    return f"bargain among yourselves: {who}, at most {counted(body['max_rounds'], 'round')}"


def _trade_proposal(body: Fields) -> str:
    taken, given = body["purchase_kwh"], body["sale_kwh"]
    prices = _price_range(body["price_eur_per_kwh"])
    slots = counted(len(taken), "slot")
    return f"would take {_energy(taken)}, give {_energy(given)} in {slots} at {prices} EUR/kWh"


def _bargain_report(body: Fields) -> str:
    held = counted(body["rounds"], "round")
    if not body["trades"]:
        return f"no trade in {held}; {_net(body)}"
    taken = _energy([energy for trade in body["trades"] for energy in trade["purchase_kwh"]])
    given = _energy([energy for trade in body["trades"] for energy in trade["sale_kwh"]])
    partners = ", ".join(trade["partner"] for trade in body["trades"])
    return f"agreed in {held} with {partners}: buys {taken}, sells {given}; {_net(body)}"


def _agreement(body: Fields) -> str:
    earlier = body["position_round"]
    counted = "" if earlier == body["round"] else f" with the position of round {earlier}"
    return f"agreed{counted}: {_net(body)}; {_prices(body)}"


def _delivery(body: Fields) -> str:
    taken, given = body["grid_import_kwh"], body["grid_export_kwh"]
    return f"took {plainly(taken)} kWh, gave {plainly(given)} kWh ({body['quality']})"


def _bill_line(body: Fields) -> str:
    return (
        f"pays {plainly(body['amount_eur'])} EUR: community {plainly(body['local_purchase_kwh'])} bought, "
        f"{plainly(body['local_sale_kwh'])} sold; grid {plainly(body['grid_import_kwh'])} in, "
        f"{plainly(body['grid_export_kwh'])} out kWh{_extras(body)} ({body['quality']})"
    )


def _extras(body: Fields) -> str:
    """Fee, charge and contracts of a bill line, where there are any."""
    parts = (
        ("contracts", "contract_eur"),
        ("local fee", "local_fee_eur"),
        ("above the limit", "excess_charge_eur"),
    )
    said = [f"{words} {plainly(body[key])} EUR" for words, key in parts if float(body.get(key, 0))]
    return f"; {', '.join(said)}" if said else ""


def _delivery_correction(body: Fields) -> str:
    return f"correction: {_delivery(body)}"


def _adjustment_line(body: Fields) -> str:
    return (
        f"corrected from {plainly(body['settled_net_kwh'])} to {plainly(body['corrected_net_kwh'])} kWh net: "
        f"pays {plainly(body['amount_eur'])} EUR; grid {plainly(body['grid_import_kwh'])} in, "
        f"{plainly(body['grid_export_kwh'])} out kWh more ({body['quality']})"
    )


def _community_statement(body: Fields) -> str:
    who = counted(len(body["members"]), "member")
    gone = f"; alone again: {', '.join(body['withdrawn'])}" if body["withdrawn"] else ""
    prices = body["price_eur_per_kwh"]
    price = f"; proposes {_price_range(prices)} EUR/kWh for the pool" if prices else ""
    takes = f"takes {_energy(body['demand_kwh'])}, gives {_energy(body['supply_kwh'])}"
    return f"step {body['step']}: our {who}: {takes}{price}{gone}"


def _relayed_trades(body: Fields) -> str:
    partners = ", ".join(trade["partner"] for trade in body["trades"])
    return f"{body['member']} reports trades with {partners or 'none of yours'}"


def _metered_exchange(body: Fields) -> str:
    across = counted(len(body["contracts"]), "contract")
    return (
        f"we took {plainly(body['demand_kwh'])} kWh, gave {plainly(body['supply_kwh'])} kWh; {across} across"
    )


def _session_closed(body: Fields) -> str:
    return f"bill {plainly(body['amount_eur'])} EUR" + ("; the last session" if body["last"] else "")


def _reading(body: Fields) -> str:
    return ", ".join(f"{record['n']} {record['v']:g} {record['u']}" for record in body["e"])


def _power(body: Fields) -> str:
    if body["charge_kw"] > 0:
        return f"charge {body['charge_kw']:.6g} kW"
    return f"discharge {body['discharge_kw']:.6g} kW" if body["discharge_kw"] > 0 else "rest"


def _setpoint(body: Fields) -> str:
    return f"battery: {_power(body)}, to hold {body['stored_kwh']:.3f} kWh at the slot's end"


def _setpoint_outcome(body: Fields) -> str:
    outcome = body["outcome"]
    done = "control returned" if outcome == "returned" else f"{outcome}: {_power(body)}"
    less = " (less than wanted)" if body.get("limited") else ""
    said = [words for words in (body.get("reason"), body.get("wrote")) if words]
    return f"{done}{less}" + (f"; {'; '.join(said)}" if said else "")


SUMMARISERS: dict[str, Callable[[Fields], str]] = {
    "join": lambda body: f"{body['member']} asks to take part",
    "admission": _admission,
    "reason": lambda body: str(body["reason"]),
    "price-signal": _price_signal,
    "position": _net,
    "declaration-request": lambda body: "what do you foresee, and which devices have you?",
    "declaration": _declaration,
    "bargain-call": _bargain_call,
    "trade-proposal": _trade_proposal,
    "bargain-report": _bargain_report,
    "community-statement": _community_statement,
    "relayed-trades": _relayed_trades,
    "metered-exchange": _metered_exchange,
    "exchange-ended": lambda body: f"we go on alone: {body['reason']}",
    "exchange-closed": lambda body: f"settled together: {counted(len(body['slots']), 'slot')}",
    "agreement": _agreement,
    "acknowledged": lambda body: "taken in",
    "delivery-request": lambda body: "what did the meter measure?",
    "delivery": _delivery,
    "bill-line": _bill_line,
    "delivery-correction": _delivery_correction,
    "adjustment-line": _adjustment_line,
    "session-closed": _session_closed,
    "meter-attach": lambda body: f"take my {' and '.join(body['roles'])} readings ({body['source']})",
    "meter-attached": lambda body: f"readings taken from slot {body['slot']} on",
    "meter-detach": lambda body: "read your own meter again",
    "metering-ended": lambda body: "no more readings needed",
    "reading-request": lambda body: f"{' and '.join(body['roles'])}, please",
    "reading": _reading,
    "reading-correction": lambda body: f"correction: {_reading(body)}",
    "setpoint-subscribe": lambda body: (
        f"tell me the battery's set-points ({body['target']}{', dry run' if body['dry_run'] else ''})"
    ),
    "setpoint-cancel": lambda body: "no further set-points",
    "setpoint": _setpoint,
    "setpoint-outcome": _setpoint_outcome,
    "setpoints-ended": lambda body: "no further set-points: the battery is its own again",
}
"""One line for each body type of ``runtime.protocol.bodies``."""
