"""What each indicator in ``indicators.json`` is called, its unit, what it says and where it comes from."""

from __future__ import annotations

from typing import NamedTuple


class Definition(NamedTuple):
    """An indicator, for people.

    Attributes:
        unit: of its value; ``1`` is a fraction or a plain number.
        explanation: what the value says, and when there is none.
        source: equation or paper, empty for a plain sum or count.
    """

    unit: str
    explanation: str
    source: str = ""


EQ1 = "eq. 1"
EQ11 = "eq. 11"
LUTHANDER = "Luthander et al. 2015, Applied Energy 142"
GINI = "Gini 1912"
JAIN = "Jain, Chiu & Hawe 1984, DEC-TR-301"

DEFINITIONS: dict[str, Definition] = {
    "load_kwh": Definition("kWh", "energy consumed"),
    "pv_kwh": Definition("kWh", "energy produced"),
    "import_kwh": Definition("kWh", "energy taken at the members' meters, from neighbours or the grid"),
    "export_kwh": Definition("kWh", "energy given at the members' meters, to neighbours or the grid"),
    "stored_change_kwh": Definition(
        "kWh", "energy in the batteries at the end less that at the end of the first slot"
    ),
    "local_purchase_kwh": Definition("kWh", "energy bought from neighbours"),
    "local_sale_kwh": Definition("kWh", "energy sold to neighbours"),
    "boundary_import_kwh": Definition(
        "kWh", "energy the community as a whole takes, trade between members netted"
    ),
    "boundary_export_kwh": Definition(
        "kWh", "energy the community as a whole gives, trade between members netted"
    ),
    "self_sufficiency": Definition(
        "1", "share of the load not imported at the members' meters; none without load", EQ11
    ),
    "boundary_self_sufficiency": Definition(
        "1", "share of the load not imported by the community as a whole; none without load", EQ11
    ),
    "self_consumption": Definition(
        "1", "share of the production not exported at the members' meters; none without production", LUTHANDER
    ),
    "boundary_self_consumption": Definition(
        "1", "share of the production not exported by the community; none without production", LUTHANDER
    ),
    "peak_import_kw": Definition("kW", "highest mean power imported in a slot (the community: as a whole)"),
    "load_factor": Definition(
        "1", "mean imported power over its peak (the community: as a whole); none without import"
    ),
    "alone_cost_eur": Definition(
        "EUR", "cost with the member's own baseline plan, alone at the grid's tariffs", EQ1
    ),
    "metered_cost_eur": Definition(
        "EUR", "cost of the metered profile at the grid's tariffs, without trade", EQ1
    ),
    "bill_eur": Definition(
        "EUR", "what is paid for what was metered, from the ledger; negative: is received", EQ1
    ),
    "billed_eur": Definition("EUR", "the bill in whole cents"),
    "saving_eur": Definition("EUR", "cost alone less the bill"),
    "saving_percent": Definition(
        "%", "saving over the size of the cost alone; none if that is zero or less than the saving"
    ),
    "saving_min_eur": Definition("EUR", "smallest saving of a member"),
    "saving_max_eur": Definition("EUR", "largest saving of a member"),
    "saving_gini": Definition(
        "1", "inequality of the savings, 0 is equal; none if a member is worse off or nothing was saved", GINI
    ),
    "saving_jain": Definition(
        "1", "fairness of the savings, 1 is equal; none if a member is worse off or nothing was saved", JAIN
    ),
    "members_worse_off": Definition("1", "number of members whose bill is above their cost alone"),
    "purchase_price_eur_per_kwh": Definition(
        "EUR/kWh", "mean price of all energy members took; none if they took none"
    ),
    "sale_price_eur_per_kwh": Definition(
        "EUR/kWh", "mean price of all energy members gave; none if they gave none"
    ),
    "local_price_eur_per_kwh": Definition(
        "EUR/kWh", "mean price of trade between members; none without trade"
    ),
    "price_spread_eur_per_kwh": Definition(
        "EUR/kWh", "mean price of energy taken less that of energy given; none if either is missing"
    ),
    "rounds": Definition("1", "price rounds negotiated, after the baseline"),
    "agreed_round": Definition("1", "number of the round that was agreed; 0 is the baseline"),
    "suspended_slots": Definition(
        "1", "slots without trade because the feed-in tariff is above the import tariff"
    ),
    "estimated_slots": Definition(
        "1", "settled slots of a member whose energy was estimated for want of a reading"
    ),
    "missing_slots": Definition("1", "slots of a member without delivery, settled at the agreed position"),
}
