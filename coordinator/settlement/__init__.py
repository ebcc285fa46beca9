"""Metered energy turned into exact money.

In every slot, in this order:

1. **Contracts** that members agreed among themselves are executed at their own prices, up to what is
   metered. Where a seller meters less than its contracts come to, they are cut in proportion, in whole steps
   of energy; so where a buyer does; a contract is executed up to the smaller of what either side allows.
2. What contracts leave is **pooled**: the shorter of demand and supply, M = min(D, S), changes hands at the
   local price of the clearing; the longer side is rationed in proportion. Without a local price there is no
   pool.
3. The **rest** is exchanged with the grid at its tariffs.

Half the **local fee** is on each side of every kWh traded between members, and goes to ``network``. What the
community's net energy is **above the limit** of its connection is charged to the members that go beyond what
they may have free of charge, in proportion to that: who makes the connection carry more than was agreed pays
for it, and who keeps to its plan alone is charged no more than alone (``coordinator.excess``); with two
communities, in proportion to energy with the grid. When a session closes, each member is charged for its own
**peak import**; and where the clearing says so, the session is **shared out**: for what they pooled or
exchanged with the grid all pay one price per kWh taken, the cost of all import over all energy taken, and
earn one price per kWh given. In slots that are suspended, where trade would destroy value, nobody trades with
anybody.

So, whatever was announced before: what members pay is what the community pays grid and network, in every
slot, to the last digit; and with prices in [λ⁻ + φ/2, λ⁺ − φ/2] nobody pays more than the same metered energy
costs alone at the grid, charges for the limit aside.

**Two communities.** With the ``hybrid`` mechanism contracts are also across: executed up to the smaller of
what either community's metering allows, as both coordinators tell each other. What a community's pool is
short of comes from what the other's has over, at the same price, before the rest is at the grid's tariffs.

**Deviations.** What counts is what is metered, whatever was agreed. Who takes more or gives less than agreed
meets the difference from the pool, as far as it goes, and else at the grid's tariffs, and nobody pays a
penalty beyond that; the others' contracts with it are cut, and their rations shift. A member that does not
deliver in time is settled at its agreed position.
"""

from coordinator.settlement.between import community_exchange
from coordinator.settlement.bills import bills, round_to_cents
from coordinator.settlement.closing import ENTERED_AT_THE_END, demand_charges, sharing
from coordinator.settlement.contracts import agreed_contracts, contracts_of_slot
from coordinator.settlement.energy import (
    CounterpartSlot,
    Exchange,
    Share,
    SlotContract,
    exchange_energy,
    executable_across,
)
from coordinator.settlement.entries import SlotPrices, owed_eur, slot_entries
from coordinator.settlement.exact import ENERGY_STEP_KWH, PRICE_STEP_EUR_PER_KWH
from coordinator.settlement.lines import bill_lines
from coordinator.settlement.rationing import ration
from coordinator.settlement.slot import SettlementTerms, settled_slot

__all__ = [
    "ENERGY_STEP_KWH",
    "ENTERED_AT_THE_END",
    "PRICE_STEP_EUR_PER_KWH",
    "CounterpartSlot",
    "Exchange",
    "SettlementTerms",
    "Share",
    "SlotContract",
    "SlotPrices",
    "agreed_contracts",
    "bill_lines",
    "bills",
    "community_exchange",
    "contracts_of_slot",
    "demand_charges",
    "exchange_energy",
    "executable_across",
    "owed_eur",
    "ration",
    "round_to_cents",
    "settled_slot",
    "sharing",
    "slot_entries",
]
