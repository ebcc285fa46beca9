"""What each indicator in ``indicators.json`` is called, its unit, what it says and where it comes from."""

from __future__ import annotations

from typing import Literal, NamedTuple

Better = Literal["higher", "lower", ""]


class Definition(NamedTuple):
    """An indicator, for people.

    Attributes:
        unit: of its value; ``1`` is a fraction or a plain number.
        explanation: what the value says, and when there is none.
        source: equation or paper, empty for a plain sum or count.
        better: which is better, ``higher`` or ``lower``; empty where neither is.
    """

    unit: str
    explanation: str
    source: str = ""
    better: Better = ""


EQ1 = "eq. 1"
EQ11 = "eq. 11"
LUTHANDER = "Luthander et al. 2015, Applied Energy 142"
GINI = "Gini 1912"
JAIN = "Jain, Chiu & Hawe 1984, DEC-TR-301"
ZHOU = "Zhou, Wu & Long 2018, Applied Energy 222"
ZHOU_UNCERTAIN = f"{ZHOU}, as transcribed by others; our reading is uncertain"

_ENERGY = {
    "load_kwh": Definition("kWh", "energy consumed"),
    "pv_kwh": Definition("kWh", "energy produced"),
    "import_kwh": Definition(
        "kWh", "energy taken at the members' meters, from neighbours or the grid", "", "lower"
    ),
    "export_kwh": Definition("kWh", "energy given at the members' meters, to neighbours or the grid"),
    "stored_change_kwh": Definition(
        "kWh", "energy in the batteries at the end less that at the end of the first slot"
    ),
    "local_purchase_kwh": Definition("kWh", "energy bought from neighbours", "", "higher"),
    "local_sale_kwh": Definition("kWh", "energy sold to neighbours", "", "higher"),
    "boundary_import_kwh": Definition(
        "kWh", "energy the community as a whole takes, trade between members netted", "", "lower"
    ),
    "boundary_export_kwh": Definition(
        "kWh", "energy the community as a whole gives, trade between members netted", "", "lower"
    ),
    "self_sufficiency": Definition(
        "1", "share of the load not imported at the members' meters; none without load", EQ11, "higher"
    ),
    "boundary_self_sufficiency": Definition(
        "1",
        "share of the load not imported by the community as a whole: energy from a neighbour counts as the "
        "community's own; none without load",
        EQ11,
        "higher",
    ),
    "self_consumption": Definition(
        "1",
        "share of the production not exported at the members' meters; none without production",
        LUTHANDER,
        "higher",
    ),
    "boundary_self_consumption": Definition(
        "1",
        "share of the production not exported by the community; none without production",
        LUTHANDER,
        "higher",
    ),
}

_GRID = {
    "peak_import_kw": Definition(
        "kW", "highest mean power imported in a slot (the community: as a whole)", "", "lower"
    ),
    "load_factor": Definition(
        "1",
        "mean imported power over its peak (the community: as a whole), 1 is perfectly flat; none without "
        "import",
        "",
        "higher",
    ),
    "loss_proxy_kw2h": Definition(
        "kW²h",
        "sum of the community's squared power over time, which losses in its connection go with; to compare "
        "runs of the same community",
        "",
        "lower",
    ),
    "alone_loss_proxy_kw2h": Definition(
        "kW²h", "the same with every member's own baseline plan; none if a member left no record", "", "lower"
    ),
    "co2_kg": Definition(
        "kg",
        "CO₂ caused by the energy the community as a whole takes from the grid, without credit for what it "
        "gives; none without an intensity",
        "",
        "lower",
    ),
    "alone_co2_kg": Definition(
        "kg",
        "the same with every member's own baseline plan; none without an intensity, or if a member left no "
        "record",
        "",
        "lower",
    ),
}

_MONEY = {
    "alone_cost_eur": Definition(
        "EUR",
        "cost with the member's own baseline plan and without trade: the grid's tariffs, demand charge, and "
        "its part of what is above the limits of the community's connection",
        EQ1,
    ),
    "metered_cost_eur": Definition("EUR", "cost of the metered profile without trade, likewise", EQ1),
    "bill_eur": Definition(
        "EUR", "what is paid for what was metered, from the ledger; negative: is received", EQ1, "lower"
    ),
    "billed_eur": Definition("EUR", "the bill in whole cents", "", "lower"),
    "saving_eur": Definition("EUR", "cost alone less the bill", "", "higher"),
    "saving_percent": Definition(
        "%",
        "saving over the size of the cost alone; none if that is zero or less than the saving",
        "",
        "higher",
    ),
}

_FAIRNESS = {
    "saving_min_eur": Definition("EUR", "smallest saving of a member", "", "higher"),
    "saving_max_eur": Definition("EUR", "largest saving of a member"),
    "saving_min_over_max": Definition(
        "1",
        "smallest saving over the largest, 1 is equal; none if a member is worse off or nothing was saved",
        "",
        "higher",
    ),
    "saving_gini": Definition(
        "1",
        "inequality of the savings, 0 is equal; none if a member is worse off or nothing was saved",
        GINI,
        "lower",
    ),
    "saving_jain": Definition(
        "1",
        "fairness of the savings, 1 is equal; none if a member is worse off or nothing was saved",
        JAIN,
        "higher",
    ),
    "members_worse_off": Definition(
        "1", "number of members whose bill is above their cost alone", "", "lower"
    ),
}

_EFFICIENCY = {
    "optimum_cost_eur": Definition(
        "EUR",
        "what the community would have paid had one hand run all batteries and known loads and production "
        "beforehand; none if a member left no record",
    ),
    "optimum_uncertainty_eur": Definition(
        "EUR",
        "by how much the optimum may be below that figure at most: what the solver left open",
        "",
        "lower",
    ),
    "welfare_gap_eur": Definition("EUR", "what was paid above the optimum", "", "lower"),
    "score": Definition(
        "1",
        "share of the achievable saving that was achieved: 1 at the optimum, 0 as if everybody were alone, "
        "negative if dearer; none where nothing could be saved",
        "",
        "higher",
    ),
    "price_of_decentralisation": Definition(
        "1",
        "what was paid above the optimum, over the size of the optimum (the optimality gap); none where the "
        "optimum is near zero",
        "",
        "lower",
    ),
}

_ZHOU = {
    "zhou_value_tapping": Definition(
        "1", "share of the achievable saving, the same as the score", ZHOU, "higher"
    ),
    "zhou_participation": Definition(
        "1", "share of members that pay less than alone, and so would take part", ZHOU, "higher"
    ),
    "zhou_equality": Definition(
        "1",
        "one less the Gini coefficient of the members' incomes; an income is a bill's negative, all raised "
        "until the lowest is 0, so it says more about the members' sizes than about the market",
        ZHOU_UNCERTAIN,
        "higher",
    ),
    "zhou_energy_balance": Definition(
        "1",
        "one less the energy exchanged with the grid over consumption and production; none without both",
        ZHOU,
        "higher",
    ),
    "zhou_power_flatness": Definition(
        "1",
        "one less the peak-to-average ratio of the community's power over that of the members' plans alone; "
        "has no lower bound, so it can dominate the means",
        ZHOU_UNCERTAIN,
        "higher",
    ),
    "zhou_self_sufficiency": Definition(
        "1", "share of the load not imported by the community; none without load", ZHOU, "higher"
    ),
    "zhou_economic": Definition(
        "1",
        "mean of value tapping, participation and equality; none if one of them is",
        ZHOU_UNCERTAIN,
        "higher",
    ),
    "zhou_technical": Definition(
        "1",
        "mean of energy balance, power flatness and self-sufficiency; none if one of them is",
        ZHOU_UNCERTAIN,
        "higher",
    ),
    "zhou_overall": Definition(
        "1",
        "mean of the economic and the technical performance: look at its six components too",
        ZHOU_UNCERTAIN,
        "higher",
    ),
}

_PRICES = {
    "purchase_price_eur_per_kwh": Definition(
        "EUR/kWh",
        "mean price of all energy members took, before fees, charges and corrections; none if they took none",
        "",
        "lower",
    ),
    "sale_price_eur_per_kwh": Definition(
        "EUR/kWh",
        "mean price of all energy members gave, before fees, charges and corrections; none if they gave none",
        "",
        "higher",
    ),
    "local_price_eur_per_kwh": Definition(
        "EUR/kWh", "mean price of trade between members; none without trade"
    ),
    "price_spread_eur_per_kwh": Definition(
        "EUR/kWh",
        "mean price of energy taken less that of energy given; none if either is missing",
        "",
        "lower",
    ),
}

_PROCESS = {
    "rounds": Definition(
        "1", "rounds negotiated after the baseline, with the coordinator or among the members", "", "lower"
    ),
    "agreed_round": Definition("1", "number of the round that was agreed; 0 is the baseline"),
    "messages": Definition(
        "1",
        "messages among coordinator and members, each counted once; none without message logs",
        "",
        "lower",
    ),
    "negotiation_seconds": Definition(
        "s",
        "from the first call for positions to the agreement, by the coordinator's wall clock; none without "
        "message logs",
        "",
        "lower",
    ),
    "planning_seconds": Definition(
        "s", "computing time that members spent on their plans; none without a member's record", "", "lower"
    ),
    "disclosed_numbers_per_slot": Definition(
        "1",
        "numbers that a member tells others for each slot (the community: the mean of its members): "
        "positions, bids, deliveries, devices; none without message logs",
        "",
        "lower",
    ),
    "suspended_slots": Definition(
        "1", "slots without trade because it would destroy value: the tariffs' spread does not cover the fee"
    ),
    "estimated_slots": Definition(
        "1",
        "settled slots of a member whose energy was estimated for want of a reading",
        "",
        "lower",
    ),
    "missing_slots": Definition(
        "1", "slots of a member without delivery, settled at the agreed position", "", "lower"
    ),
}

DEFINITIONS: dict[str, Definition] = {
    **_ENERGY,
    **_GRID,
    **_MONEY,
    **_FAIRNESS,
    **_EFFICIENCY,
    **_ZHOU,
    **_PRICES,
    **_PROCESS,
}
"""Indicator to its definition, in the order in which people read them."""
