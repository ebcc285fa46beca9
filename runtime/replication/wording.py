"""The changes from the published accounting to the corrected one, in plain words."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A change, for people.

    Attributes:
        short: a few words, for a row of a table.
        heading: says what was done.
        found: what the paper's programs do.
        right: what is right, and why.
    """

    short: str
    heading: str
    found: str
    right: str


CHANGES: dict[str, Change] = {
    "published": Change(
        "as published",
        "As published",
        "",
        "",
    ),
    "slip-1": Change(
        "1 energy = power × time",
        "Slip 1: solar power is counted as energy",
        "Irradiance × surface × efficiency (equation 4) is a power, in watts. The programs take this "
        "number as the watt-hours of a ten-minute slot. The loads they do multiply by the length of "
        "the slot, a sixth of an hour, so six times too much sun meets the right consumption.",
        "Energy is power times time: a panel that gives 6 kW for ten minutes has given 1 kWh. On this"
        " January day the panels then never give more than the buildings use, and nothing is fed in "
        "without a battery.",
    ),
    "slip-2": Change(
        "2 every slot once",
        "Slip 2: the first slot counts twice, the last never",
        "The programs write down their values before each step, not after it. So the first row is the"
        " state in which the buildings were set up, with the battery idle; the first slot follows "
        "once more; and the last one, from 23:50 to midnight, is never written down. So all rows are "
        "a slot late, in the figures too: what they show at 12:00 happened from 11:50 on.",
        "Each of the 144 slots counts once, at its own time.",
    ),
    "slip-3": Change(
        "3 equations 11 and 1",
        "Slip 3: neither the index nor the cost is that of the equations",
        "The programs work out (load − import) / load for each slot, add up these 144 shares and "
        "print the sum with a percent sign. That the sum looks like a percentage is chance: the same "
        "day in slots of five minutes would give about twice as much. And the “global cost” adds up "
        "what imports cost, without what the grid pays for energy fed in.",
        "Equation 11 divides the day's totals: load less import, over load. Equation 1 takes off the "
        "revenue. The optimised scenario suffers most: it is told to sell, and is then judged without"
        " its sales.",
    ),
    "soc-max": Change(
        "SOC max 0.8",
        "Greatest state of charge",
        "The programs fill batteries up to 0.9 of their capacity.",
        "The paper's text says 0.8. Once slip 1 is put right, nothing is ever stored by the rule, so "
        "it makes no difference there; an optimised battery has less room.",
    ),
    "feed-in": Change(
        "feed-in tariff 0.035",
        "Feed-in tariff",
        "The program without batteries has 0.035 EUR/kWh, the two others 0.10 EUR/kWh, which is above"
        " the spot price in all 144 slots.",
        "One tariff for all three, or they cannot be compared: 0.035 EUR/kWh, above the spot price in"
        " 8 slots only. With 0.10 the best plan is to buy from the grid and sell to it at a profit, "
        "all day long; the published table does not show it because the genetic algorithm did not "
        "find it, and the revenue was not counted.",
    ),
}
"""By the key of the step."""
