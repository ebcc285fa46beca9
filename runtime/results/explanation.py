"""A plan's reasons in plain words."""

from __future__ import annotations

from typing import Any

from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.planners import HEEDLESS_OF_PRICES

Answer = dict[str, Any]
"""What ``python -m agents explain`` prints: member, strategy, horizon, battery and a reason for each slot."""

_STRATEGIES = {
    "rule": "The battery follows the rule (surplus in, deficit out), whatever the prices.",
    "idle": "The battery is left alone, whatever the prices.",
}


def slot_named(name: str, horizon: Horizon) -> int:
    """The slot that a person names.

    Args:
        name: number from 0 on, or the local time in it, as ``18:45`` (the first such slot) or ISO 8601.
        horizon: the session's.

    Raises:
        InputError: no such slot.
    """
    if name.isdecimal() and int(name) < horizon.slots:
        return int(name)
    for slot in range(horizon.slots):
        local = horizon.local(slot)
        if name in (f"{local:%H:%M}", f"{local:%Y-%m-%dT%H:%M}"):
            return slot
    first, last = horizon.local(0), horizon.local(horizon.slots - 1)
    raise InputError(
        f"SLOT: found {name!r}, expected the start of a slot of {horizon.slot_minutes} min from "
        f"{first:%H:%M} to {last:%H:%M}, or a number from 0 to {horizon.slots - 1}"
    )


def explain_all(answer: Answer, slot: int | None = None) -> list[str]:
    """One sentence for each slot, or for one.

    Args:
        answer: the reasons.
        slot: the only one wanted.
    """
    lines = [_STRATEGIES[answer["strategy"]]] if answer["strategy"] in _STRATEGIES else []
    wanted = answer["slots"] if slot is None else [answer["slots"][slot]]
    return lines + [explain_slot(answer, reason) for reason in wanted]


def explain_slot(answer: Answer, reason: Answer) -> str:
    """The reason of one slot as a sentence."""
    words = _Words(answer, reason)
    loads = answer.get("flexible_loads", [])
    also = [
        load_sentence(answer, load, reason["slot"]) for load in loads if load["energy_kwh"][reason["slot"]]
    ]
    return " ".join([f"{words.time(reason['slot'])} {words.action()}: {words.sentence()}.", *also])


def load_sentence(answer: Answer, load: Answer, slot: int) -> str:
    """Why a vehicle or an appliance draws in a slot, as a sentence.

    Args:
        answer: the reasons.
        load: one of its ``flexible_loads``.
        slot: a slot in which it draws.
    """
    words = _Words(answer, answer["slots"][slot])
    name, energy = load["name"].capitalize(), load["energy_kwh"][slot]
    planned = answer["strategy"] not in HEEDLESS_OF_PRICES
    if load["kind"] == "vehicle":
        draws = f"{name} charges {energy:.3g} kWh"
        if not planned:
            return f"{draws}: it charges as soon as it has arrived, at {words.time(load['arrival_slot'])}."
        paid, left = load["dearest_paid_eur_per_kwh"], load["cheapest_left_eur_per_kwh"]
        until = words.time(load["departure_slot"])
        if left is None:
            return f"{draws}: it needs every slot until it leaves at {until}."
        rest = f"a kWh more in another slot of its stay would cost {_eur(left)} or more"
        return f"{draws}: it pays {_eur(paid)} at most until it leaves at {until}; {rest}."
    draws = f"{name} draws {energy:.3g} kWh of its run from {words.time(load['start_slot'])}"
    if not planned:
        return f"{draws}: it starts as soon as it may."
    if load["best_other_slot"] is None:
        return f"{draws}: its window has room for no other start."
    other = (
        f"{load['best_other_eur']:.4f} EUR from {words.time(load['best_other_slot'])}, the best other start"
    )
    return f"{draws}: the run costs {load['cost_eur']:.4f} EUR then, {other}."


class _Words:
    """The phrases that a slot's reason is put together from."""

    def __init__(self, answer: Answer, reason: Answer) -> None:
        self.reason = reason
        self.slots = answer["slots"]
        self.battery = answer["battery"] or {}
        self.horizon = Horizon.model_validate(answer["horizon"])
        self.days = self.horizon.local(0).date() != self.horizon.local(self.horizon.slots - 1).date()

    def time(self, slot: int) -> str:
        local = self.horizon.local(slot)
        return f"{local:%d %b %H:%M}" if self.days else f"{local:%H:%M}"

    def action(self) -> str:
        if self.reason["binding"] == "no-battery":
            return self._flow()
        doing = {"charge": "charges", "discharge": "discharges", "rest": "rests"}[self.reason["action"]]
        energy = self.reason["energy_kwh"]
        return doing if self.reason["action"] == "rest" else f"{doing} {energy:.3g} kWh"

    def sentence(self) -> str:
        reason, binding = self.reason, self.reason["binding"]
        if binding == "no-battery":
            return "the member has no battery to store or give energy"
        if binding == "forgone":
            return self._forgone()
        if binding == "self-discharge":
            return f"what self-discharge takes is put back to keep SOC {self._percent('soc_min')}"
        if binding == "end-soc" and reason["action"] == "charge":
            end = self._percent("soc_end_min")
            return f"there is no later time left to reach SOC {end} at the end; {self._price(reason)}"
        return "; ".join(part for part in (self._cause(), self._stop()) if part)

    def _flow(self) -> str:
        net = self.reason["net_kwh"]
        return (
            f"imports {net:.3g} kWh" if net > 0 else f"exports {-net:.3g} kWh" if net < 0 else "is balanced"
        )

    def _cause(self) -> str:
        """Why it does what it does at all."""
        reason = self.reason
        if reason["action"] == "rest":
            return ""
        side = reason["more"] if reason["action"] == "discharge" else reason["less"]
        own, later = side["own_eur_per_kwh"], side["later_eur_per_kwh"]
        if later is None:
            return self._price(reason)
        same = _eur(own) == _eur(later)
        word = "as much as" if same else "more than" if own > later else "less than"
        at = side["later_slot"]
        if reason["action"] == "charge" and at is not None and self.slots[at]["action"] != "discharge":
            return f"{self._price(reason)}, a kWh not charged now {self._missed(at, later)}"
        what = "the stored energy" if reason["action"] == "discharge" else "a kWh drawn now"
        until = self._until(at)
        return f"{self._price(reason)}, {word} the {_eur(later)} that {what} is worth {until}"

    def _stop(self) -> str:
        """Why it does not go further."""
        reason, binding = self.reason, self.reason["binding"]
        charging = reason["action"] == "charge"
        # A resting battery that could export less is kept from storing more, any other from storing less.
        upward = charging or (reason["action"] == "rest" and reason["net_kwh"] < 0)
        side = reason["more"] if upward else reason["less"]
        own, later, at = side["own_eur_per_kwh"], side["later_eur_per_kwh"], side["later_slot"]
        match binding:
            case "power-limit":
                limit = self.battery["charge_limit_kw" if charging else "discharge_limit_kw"]
                return "the power limit binds" if limit is None else f"the power limit of {limit:g} kW binds"
            case "soc-max":
                return f"the battery is full (SOC {self._percent('soc_max')})"
            case "soc-min":
                return f"the battery is empty (SOC {self._percent('soc_min')})"
            case "end-soc":
                what = "what is stored" if reason["action"] == "rest" else "the rest"
                return f"{what} is needed to end at SOC {self._percent('soc_end_min')}"
            case "zero-net" if reason["action"] == "rest":
                return f"load and production are balanced; {self._neither()}"
            case "zero-net" if charging:
                return f"the surplus is used up, more would cost {_eur(own)}"
            case "zero-net":
                return f"the load is covered, more would earn {_eur(own)}"
            case "block-threshold":
                return f"from here on a kWh counts {_eur(own)}"
            case "peak":
                return f"more would raise the peak, at {_eur(own)}"
            case "wear":
                return f"faster discharging wears the battery more and would save only {_eur(own)}"
            case "proximal":
                return f"further away from the position of the last round a kWh would count {_eur(own)}"
            case "equal-price":
                return f"a kWh more or less is worth as much {self._until(at)} ({_eur(later)})"
            case "reserve":
                here = f"where a kWh saves {_eur(later)}, here {_eur(own)}"
                return f"{self._kept()} for {self.time(at)}, {here}"
            case _ if upward:
                more = "more" if charging else "charging"
                return f"{more} would cost {_eur(own)} and be worth {self._worth(later)} {self._until(at)}"
            case _:
                more = "more" if reason["action"] == "discharge" else "discharging"
                return f"{more} would save {_eur(own)}, but the energy {self._missed(at, later)}"

    def _missed(self, slot: int | None, later: float | None) -> str:
        """What becomes of a kWh that is not there any more."""
        if slot is None:
            return "would not be missed by the end of the horizon"
        if self.slots[slot]["action"] == "discharge":
            return f"would be missing at {self.time(slot)}, where it saves {self._worth(later)}"
        return f"would have to be charged at {self.time(slot)} for {self._worth(later)}"

    def _kept(self) -> str:
        return "energy is kept" if self.reason["action"] == "rest" else "the rest is kept"

    def _neither(self) -> str:
        more, less = self.reason["more"], self.reason["less"]
        return (
            f"charging would cost {_eur(more['own_eur_per_kwh'])} and be worth "
            f"{self._worth(more['later_eur_per_kwh'])} later, discharging would earn "
            f"{_eur(less['own_eur_per_kwh'])} and cost {self._worth(less['later_eur_per_kwh'])} later"
        )

    def _forgone(self) -> str:
        reason = self.reason
        more, less = reason["more"], reason["less"]
        gains = [
            (side["later_eur_per_kwh"] - side["own_eur_per_kwh"]) * sign
            if side["later_eur_per_kwh"] is not None and not side["limits"]
            else 0.0
            for side, sign in ((more, 1), (less, -1))
        ]
        side, what = (more, "more") if gains[0] >= gains[1] else (less, "less")
        return (
            f"{self._price(reason)}; storing a kWh {what} would have gained {_eur(max(gains))} "
            f"{self._until(side['later_slot'])}"
        )

    def _price(self, reason: Answer) -> str:
        flow = "import costs" if reason["net_kwh"] > 0 else "export earns"
        if abs(reason["net_kwh"]) < 1e-9:
            side = reason["more"] if reason["action"] == "discharge" else reason["less"]
            instead = "importing" if reason["action"] == "discharge" else "exporting"
            verb = "cost" if reason["action"] == "discharge" else "earn"
            return f"{instead} instead would {verb} {_eur(side['own_eur_per_kwh'])}"
        text = f"{flow} {_eur(reason['price_eur_per_kwh'])}"
        pull = reason["pull_eur_per_kwh"]
        if _eur(pull) != _eur(0.0):
            counts = reason["price_eur_per_kwh"] + pull
            text += f" ({_eur(counts)} with what leaving the last round's position counts)"
        return text

    def _until(self, slot: int | None) -> str:
        if slot is None:
            return "at the end of the horizon"
        action = self.slots[slot]["action"]
        if action == "charge":
            return f"until it can be charged again at {self.time(slot)}"
        return f"at {self.time(slot)}"

    def _worth(self, later: float | None) -> str:
        return "nothing that can be used" if later is None else _eur(later)

    def _percent(self, name: str) -> str:
        return f"{100 * (self.battery[name] or 0):g} %"


def _eur(value: float) -> str:
    text = f"{value:.4f}"
    digits = text.rstrip("0")
    shown = text[: max(len(digits), len(text) - 2)]
    return f"{'0.00' if shown == '-0.00' else shown} EUR/kWh"
