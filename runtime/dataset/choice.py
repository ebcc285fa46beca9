"""Which communities of the reference set: places, seasons, sizes, tariff worlds, as a person writes them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeVar, cast, get_args

from runtime.dataset.members import LARGEST, SMALLEST
from runtime.dataset.places import PLACES, Season
from runtime.dataset.tariffs import TariffWorld
from runtime.errors import InputError

T = TypeVar("T", str, int)

DEFAULT_SIZES = (4, 10, 25)

MOST_DAYS = 7


@dataclass(frozen=True)
class Choice:
    """What a set is to hold: every combination.

    Attributes:
        places: keys.
        seasons: their names.
        sizes: numbers of members.
        tariffs: tariff worlds.
        days: consecutive days of each community, each a session.
    """

    places: tuple[str, ...] = tuple(PLACES)
    seasons: tuple[Season, ...] = get_args(Season)
    sizes: tuple[int, ...] = DEFAULT_SIZES
    tariffs: tuple[TariffWorld, ...] = get_args(TariffWorld)
    days: int = 1

    def combinations(self) -> Iterator[tuple[str, Season, int, TariffWorld]]:
        """Place, season, size and tariff world of each community, in order."""
        return product(self.places, self.seasons, self.sizes, self.tariffs)

    @property
    def count(self) -> int:
        """How many communities."""
        return len(self.places) * len(self.seasons) * len(self.sizes) * len(self.tariffs)


def choice_of(
    places: str | None, seasons: str | None, sizes: str | None, tariffs: str | None, days: int
) -> Choice:
    """Read options; one that is None takes all.

    Args:
        places: keys with commas between.
        seasons: names with commas between.
        sizes: numbers of members with commas between.
        tariffs: tariff worlds with commas between.
        days: of each community.

    Raises:
        InputError: something unknown, named twice or out of bounds; names the option.
    """
    if not 1 <= days <= MOST_DAYS:
        raise InputError(f"--days: found {days}, expected 1 to {MOST_DAYS}")
    default = Choice()
    return Choice(
        places=parts_among("--places", places, default.places),
        seasons=cast(tuple[Season, ...], parts_among("--seasons", seasons, default.seasons)),
        sizes=_sizes(sizes),
        tariffs=cast(tuple[TariffWorld, ...], parts_among("--tariffs", tariffs, default.tariffs)),
        days=days,
    )


def parts_among(option: str, text: str | None, known: Collection[str]) -> tuple[str, ...]:
    """Some of what is known, in its own order; all where the option was not given.

    Raises:
        InputError: something unknown or named twice, or nothing.
    """
    if text is None:
        return tuple(known)
    found = _once(option, [part.strip() for part in text.split(",")])
    unknown = [part for part in found if part not in known]
    if unknown:
        raise InputError(
            f"{option}: found {', '.join(map(repr, unknown))}, expected some of: {', '.join(known)}"
        )
    return tuple(item for item in known if item in found)


def _sizes(text: str | None) -> tuple[int, ...]:
    if text is None:
        return DEFAULT_SIZES
    sizes = []
    for part in text.split(","):
        number = part.strip()
        if not number.isdecimal() or not SMALLEST <= int(number) <= LARGEST:
            raise InputError(
                f"--sizes: found {number!r}, expected whole numbers from {SMALLEST} to {LARGEST} with "
                "commas between"
            )
        sizes.append(int(number))
    return tuple(sorted(_once("--sizes", sizes)))


def _once(option: str, items: list[T]) -> list[T]:
    for item in items:
        if items.count(item) > 1:
            raise InputError(f"{option}: found {item!r} twice, expected each once")
    return items
