"""Where numbers per slot come from, as a scenario says it: a file, a constant, a list or a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from runtime.conventions import ENERGY_UNITS, Unit


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f'found {value!r}, expected an IANA zone such as "Europe/Paris"') from error
    return value


Zone = Annotated[str, AfterValidator(_zone)]
"""Name of a time zone in the IANA database."""


class Section(BaseModel):
    """Base of every table of a scenario: nothing unknown, nothing infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileSeries(Section):
    """A column of a text file.

    Without ``time`` the file has exactly one value per slot, in order. With it, the horizon selects the rows.

    Attributes:
        file: path; a relative one is looked for in the data folder, else beside the scenario.
        column: header of the column, or its number from 0 on; a number without ``time`` means no header line.
        unit: unit of the values; a power is a mean over the period, an energy is that of the period.
        time: header of the column of stamps, or of several that are joined by a space (date and time).
        time_format: format of stamps as in strptime; without it ISO 8601.
        time_zone: zone of stamps without offset; without it the horizon's.
        label: whether a stamp names the start or the end of its period.
        separator: between columns.
        decimal: decimal mark.
        skip_lines: lines before the header.
    """

    file: str = Field(min_length=1)
    column: str | Annotated[int, Field(ge=0)] = 0
    unit: Unit
    time: str | list[str] | None = None
    time_format: str | None = None
    time_zone: Zone | None = None
    label: Literal["start", "end"] = "start"
    separator: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    skip_lines: int = Field(default=0, ge=0)


class ConstantSeries(Section):
    """The same value in every slot."""

    constant: float
    unit: Unit


class ValuesSeries(Section):
    """One value per slot, written in the scenario (session after session where there are several)."""

    values: list[float] = Field(min_length=1)
    unit: Unit


BdewProfile = Literal[
    "H0", "G0", "G1", "G2", "G3", "G4", "G5", "G6", "L0", "L1", "L2", "H25", "G25", "L25", "P25", "S25"
]


class BdewSeries(Section):
    """A BDEW standard load profile, scaled to a year's consumption.

    Attributes:
        model: ``bdew``.
        profile: H0 households (made dynamic over the year), G0 trade in general, G1 weekdays 8 to 18 h,
            G2 mostly evenings, G3 continuous, G4 shop, G5 bakery, G6 weekends, L0 to L2 farms; H25, G25, L25,
            P25, S25: the revision of 2025.
        annual_kwh: consumption of a year [kWh].
        country: whose public holidays count as Sundays (ISO 3166 code), or ``none``.
        calendar: ``standard``; or ``school``: days of school holidays count as Sundays too.
        school_zone: zone of French school holidays (A, B or C), with ``calendar = "school"``.
        appliances: for household profiles: whether consumption comes appliance by appliance, at rates that
            follow the profile, as behind one meter; without it the smooth average of many homes.
        noise: relative standard deviation of slow fluctuations around the profile.
    """

    model: Literal["bdew"]
    profile: BdewProfile
    annual_kwh: float = Field(gt=0)
    country: str = "FR"
    calendar: Literal["standard", "school"] = "standard"
    school_zone: Literal["A", "B", "C"] = "B"
    appliances: bool = False
    noise: float = Field(default=0.0, ge=0, le=0.5)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.appliances and not self.profile.startswith(("H", "P", "S")):
            raise ValueError(
                f"appliances: found true, expected false with profile {self.profile!r} (no home)"
            )
        if self.appliances and self.noise > 0:
            raise ValueError(f"noise: found {self.noise} beside appliances, expected one of the two")
        if self.calendar == "school" and self.country != "FR":
            raise ValueError(
                f"calendar: found 'school' with country {self.country!r}; school holidays are known for 'FR'"
            )
        return self


class IrradianceSeries(Section):
    """Global horizontal irradiance: clear sky (Ineichen) times a seeded process of clouds.

    Attributes:
        model: ``irradiance``.
        latitude_deg: north positive [°].
        longitude_deg: east positive [°].
        altitude_m: above sea level [m].
        sky: ``cloudy``, or ``clear`` for no clouds at all.
        clearness_shift: how much clearer than over the middle of Europe the sky is over the year, in
            standard deviations of the latent weather; 0.75 in Seville, below 0 where it is duller.
        season_shift: how much clearer still it is in summer, and duller in winter, in the same measure.
    """

    model: Literal["irradiance"]
    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    altitude_m: float = Field(default=0.0, ge=-430, le=9000)
    sky: Literal["cloudy", "clear"] = "cloudy"
    clearness_shift: float = Field(default=0.0, ge=-3, le=3)
    season_shift: float = Field(default=0.3, ge=-3, le=3)


SERIES_BY_TAG: dict[str, type[Section]] = {
    "<file>": FileSeries,
    "<constant>": ConstantSeries,
    "<values>": ValuesSeries,
    "<bdew>": BdewSeries,
    "<irradiance>": IrradianceSeries,
}
"""Which table a tag in an error's location stands for."""


def series_tag(value: Any) -> str | None:  # noqa: ANN401 - whatever the TOML holds
    """Which kind of series a table is, by the key that only this kind has."""
    if isinstance(value, Section):
        return next((tag for tag, kind in SERIES_BY_TAG.items() if isinstance(value, kind)), None)
    if not isinstance(value, dict):
        return None
    if "model" in value:
        model = value["model"]
        return f"<{model}>" if model in ("bdew", "irradiance") else None
    return next((f"<{key}>" for key in ("file", "constant", "values") if key in value), None)


Series = Annotated[
    Annotated[FileSeries, Tag("<file>")]
    | Annotated[ConstantSeries, Tag("<constant>")]
    | Annotated[ValuesSeries, Tag("<values>")]
    | Annotated[BdewSeries, Tag("<bdew>")]
    | Annotated[IrradianceSeries, Tag("<irradiance>")],
    Discriminator(series_tag),
]


def check_unit(series: object, allowed: tuple[str, ...], what: str) -> None:
    """Refuse a series whose unit, or model, does not give what is asked for.

    Args:
        series: any series, or None.
        allowed: units that fit.
        what: what they are of, for the error.

    Raises:
        ValueError: another unit, or a model of something else.
    """
    if isinstance(series, BdewSeries | IrradianceSeries):
        fits = isinstance(series, BdewSeries) == (allowed is ENERGY_UNITS)
        if not fits:
            raise ValueError(f"model {series.model!r} does not give {what}")
    elif (unit := getattr(series, "unit", None)) is not None and unit not in allowed:
        raise ValueError(f"unit: found {unit!r}, expected one of {', '.join(allowed)} for {what}")
