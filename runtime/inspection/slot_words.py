"""The story of a slot in words."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from runtime.horizon import Horizon
from runtime.inspection.slot_story import Story
from runtime.inspection.steering_words import steering_lines
from runtime.messagelog.summaries import plainly

_FIRST_ROUNDS, _LAST_ROUNDS = 3, 2


def story_lines(
    member: str, session: int, slot: int, horizon: Horizon, story: Story, reason: str | None
) -> list[str]:
    """Tell a slot's story on a page.

    Args:
        member: whose slot.
        session: market session, from 0.
        slot: slot of the session, from 0.
        horizon: the session's.
        story: what is known.
        reason: why the plan does what it does, a sentence; None where it is not known.
    """
    start, end = horizon.local(slot), horizon.local(slot + 1)
    lines = [f"{member}, {start:%A %d %B %Y, %H:%M} to {end:%H:%M} (session {session + 1}, slot {slot})"]
    for title, told in (
        ("Forecast", _forecast(story)),
        ("Prices seen", _prices(story)),
        ("Plan", _plan(story, reason)),
        *([("Set-point", steering_lines(story["steering"]))] if story["steering"] else []),
        ("Meter", _meter(story)),
        ("Settled", _settled(story)),
    ):
        lines += ["", title, *(f"  {line}" for line in told)]
    return lines


def _forecast(story: Story) -> Iterator[str]:
    own = story["forecast"]
    if own is None or own["foreseen_residual_load_kwh"] is None:
        yield "not known: the member keeps it in its own record, which is not here (yet)"
        return
    foreseen, came = own["foreseen_residual_load_kwh"], own["load_kwh"] - own["pv_kwh"]
    how = f"by {own['method']}" if own["method"] else "told, as the scenario has no forecast"
    off = came - foreseen
    so = "and so it came" if abs(off) < 5e-4 else f"it came to {came:+.3f} kWh, {off:+.3f} off"
    yield f"load less production {foreseen:+.3f} kWh ({how}); {so}"


def _prices(story: Story) -> Iterator[str]:
    rounds = story["rounds"]
    if not rounds:
        yield "none: the member was told none in this session (yet)"
    left_out = len(rounds) - _FIRST_ROUNDS - _LAST_ROUNDS
    for place, told in enumerate(rounds):
        if left_out > 0 and place == _FIRST_ROUNDS:
            yield f"… {left_out} more rounds …"
        if left_out > 0 and _FIRST_ROUNDS <= place < _FIRST_ROUNDS + left_out:
            continue
        answer = "no answer" if told["net_kwh"] is None else f"position {told['net_kwh']:+.3f} kWh"
        grid = " (the grid's tariffs)" if told["round"] == 0 else ""
        yield (
            f"round {told['round']}: {told['import_price_eur_per_kwh']:.4f} for energy taken, "
            f"{told['export_price_eur_per_kwh']:.4f} EUR/kWh for energy given{grid}: {answer}"
        )


def _plan(story: Story, reason: str | None) -> Iterator[str]:
    agreed = story["agreement"]
    if agreed is None:
        yield "nothing is agreed yet"
    else:
        local = agreed["local_price_eur_per_kwh"]
        price = "no trade among neighbours" if local is None else f"{local:.4f} EUR/kWh among neighbours"
        earlier = agreed["position_round"]
        back = "" if earlier == agreed["round"] else f", the member's position being that of round {earlier}"
        yield f"agreed in round {agreed['round']}{back}: {agreed['net_kwh']:+.3f} kWh; {price}"
    if reason is not None:
        yield reason
    own = story["forecast"]
    if own is not None and own["capacity_kwh"] and own["stored_kwh"] is not None:
        doing = own["battery_discharge_kwh"] - own["battery_charge_kwh"]
        did = f"gave {doing:.3f} kWh" if doing > 0 else f"took {-doing:.3f} kWh" if doing < 0 else "rested"
        share = 100 * own["stored_kwh"] / own["capacity_kwh"]
        yield f"in the slot the battery {did} and ended at {own['stored_kwh']:.3f} kWh ({share:.0f} %)"


def _meter(story: Story) -> Iterator[str]:
    for reading in story["readings"]:
        told = [name for name in reading if name not in ("meter", "quality", "later")]
        energies = ", ".join(f"{name.replace('_', ' ')} {reading[name]:.6f} kWh" for name in told)
        verb = "told later that it was" if reading.get("later") else "read"
        yield f"{reading['meter']} {verb} {energies} ({reading['quality']})"
    if not story["readings"]:
        yield "no reading"
    delivery = story["delivery"]
    if delivery is None:
        yield "nothing was delivered (yet)"
        return
    taken, given = delivery["grid_import_kwh"], delivery["grid_export_kwh"]
    delivered = f"taken {plainly(taken)} kWh, given {plainly(given)} kWh"
    yield f"delivered to the coordinator: {delivered} ({delivery['quality']})"
    agreed = story["agreement"]
    if agreed is not None:
        off = float(taken) - float(given) - agreed["net_kwh"]
        yield "that is what was agreed" if abs(off) < 5e-7 else f"that is {off:+.6f} kWh from what was agreed"
    own = story["forecast"]
    if own is not None and own.get("unmetered_kwh"):
        yield f"of it {own['unmetered_kwh']:+.6f} kWh are in no other meter's reading"
    correction = story["correction"]
    if correction is not None:
        taken, given = correction["grid_import_kwh"], correction["grid_export_kwh"]
        corrected = f"taken {plainly(taken)} kWh, given {plainly(given)} kWh"
        yield f"corrected later: {corrected} ({correction['quality']})"


def _settled(story: Story) -> Iterator[str]:
    line = story["bill_line"]
    if line is None:
        yield "no bill line: the slot is not settled yet, or was settled at the agreed position"
        yield from _adjustment(story)
        return
    amounts = (name for name in line if name.endswith(("_kwh", "_eur")) and "price" not in name)
    exact = {name: Decimal(str(line[name])) for name in amounts}
    community = story["community"]
    local = line["local_price_eur_per_kwh"]
    if community is not None:
        taken, given = Decimal(community["taken_kwh"]), Decimal(community["given_kwh"])
        all_did = f"took {plainly(taken)} kWh and gave {plainly(given)} kWh"
        yield f"all {community['members']} members {all_did} in this slot"
        yield _rule(community, taken, given)
    pooled_in = exact["local_purchase_kwh"] - exact.get("contract_purchase_kwh", Decimal(0))
    pooled_out = exact["local_sale_kwh"] - exact.get("contract_sale_kwh", Decimal(0))
    price = Decimal(local) if local is not None else Decimal(0)
    imports, exports = (Decimal(line[f"{side}_price_eur_per_kwh"]) for side in ("import", "export"))
    for what, energy, each, sign in (
        ("bought from neighbours", pooled_in, price, 1),
        ("sold to neighbours", pooled_out, price, -1),
        ("taken from the grid", exact["grid_import_kwh"], imports, 1),
        ("given to the grid", exact["grid_export_kwh"], exports, -1),
    ):
        if energy:
            yield _money(f"{what}: {plainly(energy)} kWh × {plainly(each)} EUR/kWh", sign * energy * each)
    for what, name in (
        ("contracts with neighbours", "contract_eur"),
        ("half the local fee", "local_fee_eur"),
        ("share of the charge above the connection's limit", "excess_charge_eur"),
    ):
        if exact.get(name):
            yield _money(what, exact[name])
    yield _money("in all", exact["amount_eur"])
    yield from _adjustment(story)


def _adjustment(story: Story) -> Iterator[str]:
    line = story["adjustment"]
    if line is None:
        return
    settled, corrected = Decimal(line["settled_net_kwh"]), Decimal(line["corrected_net_kwh"])
    yield f"settled with {settled:+f} kWh, corrected later to {corrected:+f}: the rest is the grid's"
    for what, side, sign in (("from the grid", "import", 1), ("to the grid", "export", -1)):
        more, price = Decimal(line[f"grid_{side}_kwh"]), Decimal(line[f"{side}_price_eur_per_kwh"])
        if more:
            yield _money(f"{more:+f} kWh {what} × {plainly(price)} EUR/kWh", sign * more * price)


def _rule(community: dict[str, Any], taken: Decimal, given: Decimal) -> str:
    if community["suspended"]:
        return "trade would destroy value in this slot and is suspended: all are at the grid's tariffs"
    if not min(taken, given):
        return "so there was nothing to trade among neighbours: everybody is at the grid's tariffs"
    if taken == given:
        return "so neighbours covered each other whole"
    share = 100 * min(taken, given) / max(taken, given)
    traded = f"so neighbours could trade {plainly(min(taken, given))} kWh"
    longer, did, other = (
        ("takers", "bought {} of what each took", "came from the grid")
        if taken > given
        else ("givers", "sold {} of what each gave", "went to the grid")
    )
    if community["contracts"]:
        part = did.format("the same part")
        return f"{traded}: contracts come first; beyond them {longer} {part}, and the rest {other}"
    return f"{traded}: {longer} {did.format(f'{share:.1f} %')}, and the rest {other}"


def _money(what: str, amount_eur: Decimal) -> str:
    verb = "pays" if amount_eur >= 0 else "receives"
    return f"{what}: {verb} {abs(amount_eur):.6f} EUR"
