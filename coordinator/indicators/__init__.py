"""What a community is judged by.

``measures.py`` (energy, power, money), ``fairness.py``, ``efficiency.py`` (against the coordinated optimum)
and ``zhou.py`` (the indices of Zhou, Wu and Long) are pure functions. ``traffic.py`` counts messages and what
they disclose, ``stretch.py`` and ``reference.py`` read records, ``command.py`` puts all of it together, and
``definitions.py`` says of each indicator what it means.
"""

from coordinator.indicators.efficiency import price_of_decentralisation, score
from coordinator.indicators.fairness import gini, jain, members_worse_off, min_over_max
from coordinator.indicators.measures import (
    NO_MONEY_EUR,
    Array,
    co2_kg,
    exports_kwh,
    imports_kwh,
    load_factor,
    mean_price_eur_per_kwh,
    peak_import_kw,
    peak_to_average,
    saving_percent,
    self_consumption,
    self_sufficiency,
    squared_power_kw2h,
)

__all__ = [
    "NO_MONEY_EUR",
    "Array",
    "co2_kg",
    "exports_kwh",
    "gini",
    "imports_kwh",
    "jain",
    "load_factor",
    "mean_price_eur_per_kwh",
    "members_worse_off",
    "min_over_max",
    "peak_import_kw",
    "peak_to_average",
    "price_of_decentralisation",
    "saving_percent",
    "score",
    "self_consumption",
    "self_sufficiency",
    "squared_power_kw2h",
]
