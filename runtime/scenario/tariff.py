"""Tariffs of the grid as a scenario says them: a constant, a time-of-use table or a series."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from runtime.scenario.series import ConstantSeries, FileSeries, Section, ValuesSeries, series_tag

DAY_MINUTES = 1440


def _minute_of_day(value: Any) -> int:  # noqa: ANN401 - whatever the TOML holds
    if isinstance(value, time):
        return value.hour * 60 + value.minute
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MINUTES:
        return value
    if isinstance(value, str):
        hours, colon, minutes = value.partition(":")
        if colon and hours.isdigit() and minutes.isdigit() and len(minutes) == 2 and int(minutes) < 60:
            minute = int(hours) * 60 + int(minutes)
            if minute <= DAY_MINUTES:
                return minute
    raise ValueError(f'found {value!r}, expected a time of day such as "06:00" (up to "24:00")')


MinuteOfDay = Annotated[int, BeforeValidator(_minute_of_day)]

Price = Annotated[float, Field(ge=-10, le=10)]
"""EUR/kWh; the bounds catch prices written in EUR/MWh or cents."""


class PriceWindow(Section):
    """A price during a part of the day.

    Attributes:
        from_minute: start, in minutes of the local day (written ``from = "06:00"``).
        to_minute: end; not after ``from`` means past midnight: the hours to midnight and from midnight on.
        price_eur_per_kwh: the price [EUR/kWh].
        days: days on which it holds, by the day that a minute falls on.
    """

    from_minute: MinuteOfDay = Field(alias="from")
    to_minute: MinuteOfDay = Field(alias="to")
    price_eur_per_kwh: Price
    days: Literal["every", "weekday", "weekend"] = "every"

    def covers(self, minute: int, weekend: bool) -> bool:
        """Whether it holds in this minute of a weekday or of a weekend's day."""
        if self.days == ("weekday" if weekend else "weekend"):
            return False
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


class TimeOfUse(Section):
    """Windows that cover every minute of weekdays and weekends exactly once."""

    windows: list[PriceWindow] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:  # noqa: ANN401
        return {"windows": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _cover_once(self) -> Self:
        for weekend in (False, True):
            kind = "weekends" if weekend else "weekdays"
            counts = [sum(w.covers(minute, weekend) for w in self.windows) for minute in range(DAY_MINUTES)]
            for wrong, what in (((0,), "no price"), (range(2, len(self.windows) + 1), "more than one price")):
                first = next((minute for minute, count in enumerate(counts) if count in wrong), None)
                if first is not None:
                    end = next((m for m in range(first, DAY_MINUTES) if counts[m] not in wrong), DAY_MINUTES)
                    raise ValueError(
                        f"{what} from {clock_time(first)} to {clock_time(end)} on {kind}, "
                        "expected exactly one at any time"
                    )
        return self

    def price_at(self, minute: int, weekend: bool) -> float:
        """Price [EUR/kWh] in a minute of the local day."""
        return next(window.price_eur_per_kwh for window in self.windows if window.covers(minute, weekend))


def clock_time(minute: int) -> str:
    """A minute of the day as people write it, 360 as 06:00."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _price_tag(value: Any) -> str | None:  # noqa: ANN401
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return "<price>"
    if isinstance(value, list | TimeOfUse):
        return "<windows>"
    tag = series_tag(value)
    return tag if tag in ("<file>", "<constant>", "<values>") else None


PriceSource = Annotated[
    Annotated[Price, Tag("<price>")]
    | Annotated[TimeOfUse, Tag("<windows>")]
    | Annotated[FileSeries, Tag("<file>")]
    | Annotated[ConstantSeries, Tag("<constant>")]
    | Annotated[ValuesSeries, Tag("<values>")],
    Discriminator(_price_tag),
]


class Tariff(Section):
    """What the grid asks and pays.

    Attributes:
        import_price: price of energy from the grid, GT in eq. 1 (written ``import``).
        export_price: feed-in tariff, FIT in eq. 1 (written ``export``).
        demand_charge_eur_per_kw: on each member's greatest mean import power of a slot, a session.
    """

    import_price: PriceSource = Field(alias="import")
    export_price: PriceSource = Field(alias="export")
    demand_charge_eur_per_kw: float = Field(default=0.0, ge=0, le=1000)
