"""What every mechanism offers, and how one is made by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from coordinator.costs import CommunityTariff
from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.mechanisms import check_parameters, load_mechanism

Array = NDArray[np.float64]

Family = Literal["community", "auction", "coordinated", "decentralised", "hybrid", "none"]
"""Kinds of market, after Table I of the paper; ``none`` is each member alone against the grid."""


# -- what members are asked ----------------------------------------------------------------------------


@dataclass(frozen=True)
class PriceStep:
    """A change of price at a threshold of net energy: above [n − threshold]₊ + below [threshold − n]₊.

    Attributes:
        threshold_kwh: shape (slots,), import > 0 [kWh].
        above_eur_per_kwh: shape (slots,).
        below_eur_per_kwh: shape (slots,).
    """

    threshold_kwh: Array
    above_eur_per_kwh: Array
    below_eur_per_kwh: Array


@dataclass(frozen=True)
class Signal:
    """Prices at which members are asked for their positions.

    Attributes:
        import_price_eur_per_kwh: price of energy taken, shape (slots,).
        export_price_eur_per_kwh: price of energy given, shape (slots,).
        proximal_weight_eur_per_kwh2: w of the term w/2 (position − last position)² that members add.
        step_limit_kwh: how far a position may be from the last one in a slot; None for no limit.
        steps: further changes of price, as in a block tariff.
        wants_limits: ask for limit prices too: the positions are orders.
    """

    import_price_eur_per_kwh: Array
    export_price_eur_per_kwh: Array
    proximal_weight_eur_per_kwh2: float = 0.0
    step_limit_kwh: float | None = None
    steps: tuple[PriceStep, ...] = ()
    wants_limits: bool = False


@dataclass(frozen=True)
class InTurn:
    """Members are asked one after the other; each one's prices come from ``Mechanism.turn``.

    Attributes:
        order: indices of members.
    """

    order: tuple[int, ...]


@dataclass(frozen=True)
class Declare:
    """Members are asked for what they foresee and the devices they have."""


@dataclass(frozen=True)
class ConnectionShare:
    """A member's share of what the community's connection carries; arrays of shape (slots,) [kWh].

    Attributes:
        import_kwh: of what it takes; None where there is no limit to that.
        export_kwh: of what it gives, likewise.
    """

    import_kwh: Array | None
    export_kwh: Array | None


@dataclass(frozen=True)
class Bargain:
    """Members are asked to bargain among themselves and to report what they agreed on.

    Attributes:
        max_rounds: rounds of bargaining, at most.
        tolerance_kwh: bargaining ends once everybody's residual is within this.
        penalty_eur_per_kwh2: ρ, by which prices follow disagreement, shape (slots,), above 0.
        across: whether members of the other community, if there is one, take part too.
        shares: each member's share of the connection, energy with the grid beyond which is charged the
            excess price; where a member is asked, its own alone; none without a limit.
    """

    max_rounds: int
    tolerance_kwh: float
    penalty_eur_per_kwh2: Array
    across: bool = False
    shares: tuple[ConnectionShare, ...] = ()


Call = Signal | InTurn | Declare | Bargain
"""What a round asks of the members."""


# -- what members answer -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Declaration:
    """What a member discloses to a coordinator that plans for it.

    Attributes:
        residual_load_kwh: load − production as foreseen, shape (slots,) [kWh].
        battery: its battery, or None.
        vehicles: its electric vehicles, on top of the residual load.
        appliances: its appliances that can wait, likewise.
    """

    residual_load_kwh: Array
    battery: Battery | None
    vehicles: tuple[ElectricVehicle, ...] = ()
    appliances: tuple[Appliance, ...] = ()


@dataclass(frozen=True)
class Contract:
    """Energy that two members agreed to trade; arrays of shape (slots,).

    Attributes:
        seller: index of the member that gives.
        buyer: index of the member that takes.
        energy_kwh: at least 0.
        price_eur_per_kwh: what the buyer pays the seller.
    """

    seller: int
    buyer: int
    energy_kwh: Array
    price_eur_per_kwh: Array


@dataclass(frozen=True)
class OtherCommunity:
    """What is known of the other of two communities when a round has ended; arrays of shape (slots,).

    Attributes:
        members: number of its members.
        demand_kwh: what they would take in all, at least 0.
        supply_kwh: what they would give in all, at least 0.
        price_eur_per_kwh: what its coordinator proposes for the pool of both; NaN before it does.
    """

    members: int
    demand_kwh: Array
    supply_kwh: Array
    price_eur_per_kwh: Array


@dataclass(frozen=True)
class Answers:
    """What is known when a round has ended.

    Attributes:
        net_kwh: positions, shape (members, slots), import > 0; of members that were not asked or did not
            answer, the last ones.
        limit_price_eur_per_kwh: limit prices, shape (members, slots), where the round asked for them; NaN of
            members that gave none.
        declarations: by member, where the round asked for them.
        contracts: what members agreed on among themselves, where the round had them bargain.
        late: members that were asked and did not answer.
        other: what the other of two communities told; None where there is none, or it is silent.
    """

    net_kwh: Array
    limit_price_eur_per_kwh: Array | None = None
    declarations: dict[int, Declaration] = field(default_factory=dict)
    contracts: tuple[Contract, ...] = ()
    late: frozenset[int] = frozenset()
    other: OtherCommunity | None = None


# -- how it ends ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """What the coordinator planned for a member's devices.

    Attributes:
        stored_kwh: stored energy of its battery at the end of each slot, shape (slots,); None without one.
        vehicle_kwh: what each vehicle draws, shape (slots,) each.
        appliance_start_slots: the slot in which each appliance starts.
    """

    stored_kwh: Array | None
    vehicle_kwh: tuple[Array, ...] = ()
    appliance_start_slots: tuple[int, ...] = ()


@dataclass(frozen=True)
class Agreed:
    """The negotiation is over.

    Attributes:
        round: the round whose positions count.
        schedules: by member, what the coordinator planned for its devices; without one a member runs the plan
            that it made itself in that round.
        net_kwh: the positions that count, shape (members, slots), where they are not those of the round.
    """

    round: int
    schedules: dict[int, Schedule] = field(default_factory=dict)
    net_kwh: Array | None = None


@dataclass(frozen=True)
class Clearing:
    """On what terms metered energy will be settled among members.

    Energy that contracts do not cover is pooled: in each slot the shorter of demand and supply changes hands
    at the local price, the longer side is rationed pro rata, and the rest is at the grid's tariffs.

    Attributes:
        local_price_eur_per_kwh: price of the pool, shape (slots,), before the local fee, of which buyer and
            seller bear half each; NaN where nothing is traded.
        contracts: what members agreed among themselves; settled first, up to what is metered.
        shared_by_day: pay and earn at the same prices in all slots of the session: what the members' slots
            come to is shared out again in proportion to energy.
        apart: indices of members that are settled at the grid's tariffs by themselves: they have no
            contracts, no part in the pool, and none in what is shared out.
        free_kwh: what each member may have before it is charged for energy above the connection's limit,
            shape (members, slots), import > 0; None: charged by energy with the grid.

    Raises:
        ValueError: a contract of a member that is apart.
    """

    local_price_eur_per_kwh: Array
    contracts: tuple[Contract, ...] = ()
    shared_by_day: bool = False
    apart: frozenset[int] = frozenset()
    free_kwh: Array | None = None

    def __post_init__(self) -> None:
        """Check that nobody is apart and trades."""
        for each in self.contracts:
            if found := {each.seller, each.buyer} & self.apart:
                raise ValueError(f"apart: found {sorted(found)} in a contract, expected members without any")


class Parameters(BaseModel):
    """Base of a mechanism's parameters, as a scenario gives them.

    Attributes:
        opt_out_passes: members whose bill would be above that of their plan alone go back to it; after so
            many looks those that still pay more are settled apart at once; 0 binds everybody to what was
            agreed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    opt_out_passes: int = Field(default=10, ge=0, le=100)


class Mechanism(ABC):
    """One session's negotiation, and the prices it is settled at.

    Round 0 always tells the grid's tariffs; ``respond`` makes the next rounds. A mechanism is told everything
    it may know, and keeps its own state from one answer to the next.

    Attributes:
        tariff: what the community pays the grid.
        parameters: as the scenario gives them, checked.
        members: number of members.
        computes_long: whether ``respond`` takes long enough to be done off the event loop.
        title: what people call it.
        summary: what it does, in one plain sentence.
        discloses: what a member tells of itself, in one plain sentence.
        family: which kind of market it is.
        individually_rational: whether, at agreed positions and before anybody opts out, its prices alone keep
            every member from paying more than the same position costs at the grid.
        minimises_cost: whether its rounds bring down what the community pays.
        two_communities: whether members are in two communities, whose coordinators trade with each other.
    """

    parameters_model: ClassVar[type[BaseModel]] = Parameters
    computes_long: ClassVar[bool] = False
    title: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    discloses: ClassVar[str] = "Net energy per slot, planned in every round and then metered."
    family: ClassVar[Family] = "community"
    individually_rational: ClassVar[bool] = False
    minimises_cost: ClassVar[bool] = False
    two_communities: ClassVar[bool] = False

    def __init__(self, tariff: CommunityTariff, parameters: Parameters, members: int) -> None:
        """Begin a session of so many members at this tariff."""
        self.tariff = tariff
        self.parameters = parameters
        self.members = members

    @abstractmethod
    def respond(self, answers: Answers) -> Call | Agreed:
        """Answer the round just held with the next one, or with the end."""

    def turn(self, member: int, net_kwh: Array) -> Signal:
        """Prices for the member whose turn it is.

        Args:
            member: its index.
            net_kwh: everybody's present positions, shape (members, slots), import > 0 [kWh].
        """
        raise NotImplementedError(f"{type(self).__name__} asks nobody in turn")

    @abstractmethod
    def clear(self, net_kwh: Array) -> Clearing:
        """Terms of settlement once these positions are agreed.

        Args:
            net_kwh: shape (members, slots), import > 0 [kWh].
        """


def mechanism_for(name: str, parameters: dict[str, Any]) -> Callable[[CommunityTariff, int], Mechanism]:
    """What makes a session's mechanism from the community's tariff and the number of members.

    Raises:
        InputError: no such mechanism, or a parameter that it does not take.
    """
    kind: type[Mechanism] = load_mechanism(name)
    checked = cast(Parameters, check_parameters(name, kind, parameters))
    return lambda tariff, members: kind(tariff, checked, members)
