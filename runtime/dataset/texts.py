"""What a reference set says of itself in words: README, licence, provenance."""

from __future__ import annotations

from pathlib import Path

from runtime.dataset.manifest import Manifest

TEMPLATE = Path(__file__).with_name("readme.md.template")

LICENCE = "CC-BY-4.0"

CONVENTIONS = (
    "Times are UTC instants in ISO 8601; a slot is named by its start, and every value belongs to the slot "
    "that begins there.",
    "Energies are kWh per slot, irradiances means over the slot in W/m², prices EUR/kWh; none is negative.",
    "A community's days are local days; each is a market session of its own, at whose end batteries hold "
    "what they began with, at least.",
    "Within a place and season, all sizes and tariff worlds have the same weather, and a community has the "
    "members of every smaller one with the same consumption: what differs is what the name says.",
)

INVENTED = (
    "The communities: who is in them, what they consume, which arrays and batteries they have.",
    "The weather: a seeded process of clouds under a clear sky, not any day's measurement; no snow on "
    "arrays, which lie flat.",
    "The prices: shapes of the model's own at levels of the order of 2024; no contract, no market result.",
    "Consumption has the shapes of German standard profiles in every country, with each country's public "
    "holidays and a season's factor for heat and cooling; it does not answer to the weather of the day.",
)

MODELS = {
    "consumption": "BDEW standard load profiles (H0 dynamic, G0 to G5, L0), as implemented in demandlib; "
    "around them, for homes, appliance events whose rates follow the profile (bottom-up, as Richardson et "
    "al. 2010, Energy and Buildings 42), for others slow lognormal noise",
    "irradiance": "clear sky by Ineichen and Perez (2002) with Linke turbidity, as implemented in pvlib, "
    "times a seeded clear-sky index (autoregressive from day to day and within the day), the place's "
    "clearness and its seasons set to its yearly irradiation",
    "production": "irradiance times area times efficiency (Gabriel, Oulhaj and Dupont 2021, equation 4); "
    "modules of 20 %, performance ratio 0.86",
    "tariffs": "time of use: windows of the local clock and a constant feed-in tariff below them; dynamic: "
    "an hourly price shaped as a day-ahead one with a dip at noon, plus grid and taxes, and a feed-in price "
    "that is the day-ahead price less marketing, zero where that is negative",
}

LIBRARIES: dict[str, dict[str, str]] = {
    "demandlib": {"licence": "MIT", "used_for": "BDEW standard load profiles"},
    "holidays": {"licence": "MIT", "used_for": "public holidays"},
    "numpy": {"licence": "BSD-3-Clause", "used_for": "random numbers, arrays"},
    "pandas": {"licence": "BSD-3-Clause", "used_for": "times of the models"},
    "pvlib": {"licence": "BSD-3-Clause", "used_for": "clear-sky irradiance, solar position, Linke turbidity"},
}
"""By name: licence and use; the version is that of the installation."""

LICENCE_TEXT = """\
The data in this folder are licensed under the Creative Commons Attribution 4.0 International Licence
(CC BY 4.0): https://creativecommons.org/licenses/by/4.0/legalcode

Please attribute: "Peerwatt reference communities", with the set's version and seed from manifest.json.

They were made by models. Consumption is derived from the standard load profiles of BDEW (Bundesverband der
Energie- und Wasserwirtschaft), as implemented in demandlib (MIT licence, oemof developer group); irradiance
from the clear-sky model and the Linke turbidity climatology of pvlib (BSD-3-Clause licence, pvlib python
contributors). No measured series of anybody is contained.
"""


def readme_text(manifest: Manifest) -> str:
    """README.md of a set."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    communities = manifest.communities
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        set=manifest,
        seasons=list(dict.fromkeys(community.season for community in communities)),
        sizes=sorted({community.size for community in communities}),
        tariffs=list(dict.fromkeys(community.tariff for community in communities)),
    )
