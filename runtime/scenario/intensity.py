"""CO₂ intensity of the grid's energy as a scenario says it: a number or a series."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from runtime.scenario.series import ConstantSeries, FileSeries, ValuesSeries, series_tag

HIGHEST_CO2_INTENSITY_G_PER_KWH = 3000.0
"""Above this an intensity is taken for a unit error: the dirtiest lignite is at some 1200 g/kWh."""

Intensity = Annotated[float, Field(ge=0, le=HIGHEST_CO2_INTENSITY_G_PER_KWH)]
"""g/kWh."""


def _intensity_tag(value: Any) -> str | None:  # noqa: ANN401 - whatever the TOML holds
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "<intensity>"
    tag = series_tag(value)
    return tag if tag in ("<file>", "<constant>", "<values>") else None


IntensitySource = Annotated[
    Annotated[Intensity, Tag("<intensity>")]
    | Annotated[FileSeries, Tag("<file>")]
    | Annotated[ConstantSeries, Tag("<constant>")]
    | Annotated[ValuesSeries, Tag("<values>")],
    Discriminator(_intensity_tag),
]
