"""Random communities of one session, settled slot by slot as the coordinator does, from a clearing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from coordinator.costs import CommunityTariff
from coordinator.excess import free_of_charge_kwh
from coordinator.mechanisms.base import Clearing, Contract, Mechanism, Parameters
from coordinator.negotiation import Negotiation
from coordinator.operation import Operation
from runtime.configuration import CoordinatorSession
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.protocol.bodies import BillLine, MeteredDelivery
from runtime.records import Bill, CoordinatorRecord, SessionRecord

STEP = Decimal("1e-9")
SLOT_MINUTES = 30


class Told(Mechanism):
    """Clears as it is told."""

    def __init__(self, tariff: CommunityTariff, members: int, clearing: Clearing) -> None:
        super().__init__(tariff, Parameters(opt_out_passes=0), members)
        self._clearing = clearing

    def respond(self, answers):
        raise NotImplementedError

    def clear(self, net_kwh):
        return self._clearing


@dataclass
class Case:
    """A session: terms, clearing, and the net energies [kWh] that are metered."""

    terms: CoordinatorSession
    clearing: Clearing
    net_kwh: np.ndarray

    @property
    def members(self) -> list[str]:
        return [f"m{number}" for number in range(len(self.net_kwh))]

    @property
    def tariff(self) -> CommunityTariff:
        return CommunityTariff.in_terms(
            self.terms.import_price_eur_per_kwh,
            self.terms.export_price_eur_per_kwh,
            self.terms.horizon.slot_hours,
            self.terms.grid,
        )

    def settle(self) -> tuple[Operation, list[dict[str, BillLine]]]:
        """Everything delivered and settled."""
        negotiation = Negotiation(Told(self.tariff, len(self.members), self.clearing), self.members)
        negotiation.clearing = self.clearing
        operation = Operation(0, self.terms, negotiation, self.members)
        lines = []
        while not operation.passed:
            for number, member in enumerate(self.members):
                net = Decimal(repr(float(self.net_kwh[number, operation.slot]))).quantize(STEP)
                operation.deliver(
                    member,
                    MeteredDelivery(
                        session=0,
                        slot=operation.slot,
                        grid_import_kwh=max(net, Decimal(0)),
                        grid_export_kwh=max(-net, Decimal(0)),
                        quality="metered",
                    ),
                )
            lines.append(operation.settle())
        operation.close()
        return operation, lines

    def record(self) -> CoordinatorRecord:
        """What the coordinator would record."""
        operation, _ = self.settle()
        return CoordinatorRecord(
            community="village",
            setting="community",
            mechanism="told",
            members=self.members,
            sessions=[
                SessionRecord(
                    session=0,
                    horizon=self.terms.horizon,
                    grid_import_price_eur_per_kwh=self.terms.import_price_eur_per_kwh,
                    grid_export_price_eur_per_kwh=self.terms.export_price_eur_per_kwh,
                    grid=self.terms.grid,
                    rounds=[],
                    agreed_round=0,
                    agreed_net_kwh={member: [] for member in self.members},
                    agreed_import_price_eur_per_kwh=[float(p) for p in self.terms.import_price_eur_per_kwh],
                    agreed_export_price_eur_per_kwh=[float(p) for p in self.terms.export_price_eur_per_kwh],
                    local_price_eur_per_kwh=operation.local_price_eur_per_kwh,
                    contracts=operation.contracts,
                    shared_by_day=operation.shared_by_day,
                    apart=operation.apart,
                    free_kwh=operation.free_kwh,
                    suspended_slots=np.flatnonzero(self.tariff.suspended).tolist(),
                    deliveries=operation.deliveries,
                    ledger=operation.ledger,
                    bills=operation.bills(),
                )
            ],
        )

    def bills(self) -> list[Bill]:
        return self.settle()[0].bills()


def terms_of(
    import_prices: list[str], export_prices: list[str], grid: GridTerms | None = None
) -> CoordinatorSession:
    return CoordinatorSession(
        horizon=Horizon(
            start=datetime(2025, 1, 15, tzinfo=UTC),
            zone="Europe/Paris",
            slot_minutes=SLOT_MINUTES,
            slots=len(import_prices),
        ),
        import_price_eur_per_kwh=[Decimal(price) for price in import_prices],
        export_price_eur_per_kwh=[Decimal(price) for price in export_prices],
        grid=grid or GridTerms(),
    )


@st.composite
def cases(draw: st.DrawFn, *, rational: bool = False, shared: bool | None = None) -> Case:
    """Any community; ``rational`` keeps all prices where nobody is to be worse off than at the grid."""
    members, slots = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    milli = st.integers(0, 300)
    exports = draw(st.lists(milli, min_size=slots, max_size=slots))
    spreads = draw(st.lists(st.integers(-30, 300), min_size=slots, max_size=slots))
    fee = draw(st.sampled_from([0, 0, 7, 40]))
    limits = [draw(st.sampled_from([None, 0, 1, 3])) for _ in range(2)]
    grid = GridTerms(
        local_fee_eur_per_kwh=Decimal(fee).scaleb(-3),
        import_limit_kw=limits[0],
        export_limit_kw=limits[1],
        excess_price_eur_per_kwh=Decimal(draw(st.sampled_from(["0", "0.5", "1.25"]))),
        demand_charge_eur_per_kw=Decimal(draw(st.sampled_from(["0", "0.3"]))),
    )
    terms = terms_of(
        [str(Decimal(e + s).scaleb(-3)) for e, s in zip(exports, spreads, strict=True)],
        [str(Decimal(e).scaleb(-3)) for e in exports],
        grid,
    )
    # few different energies, so that equal ones, zeros and exact matches are met
    steps = st.one_of(
        st.integers(-3, 3).map(lambda n: n * 10**9), st.integers(-3, 3), st.integers(-(4 * 10**9), 4 * 10**9)
    )
    net = np.array([[draw(steps) for _ in range(slots)] for _ in range(members)]) / 1e9

    def price(slot: int) -> float:
        low, high = exports[slot] + fee / 2, exports[slot] + spreads[slot] - fee / 2
        if not rational:
            low, high = low - 50, max(high, low) + 50
        return round(draw(st.floats(min(low, high), max(low, high))), 6) / 1000

    local = np.array([price(t) if draw(st.integers(0, 3)) else np.nan for t in range(slots)])
    contracts = []
    apart = frozenset(draw(st.lists(st.integers(0, members - 1), max_size=2)))
    for _ in range(draw(st.integers(0, 5))):
        seller, buyer = draw(st.permutations(range(members)))[:2]
        if {seller, buyer} & apart:
            continue
        energy = (
            np.array([draw(st.integers(0, 3 * 10**9)) * draw(st.integers(0, 1)) for _ in range(slots)]) / 1e9
        )
        prices = np.array([price(t) if energy[t] else np.nan for t in range(slots)])
        contracts.append(Contract(seller, buyer, energy, prices))
    by_day = draw(st.booleans()) if shared is None else shared
    case = Case(terms, Clearing(local, tuple(contracts), by_day, apart), net)
    if draw(st.booleans()):
        # what is metered differs from what was agreed, and that from the plans alone
        agreed, alone = (net + draw(st.sampled_from([0.0, 1.0, -0.5])) * draw(_shifts(net)) for _ in range(2))
        free = free_of_charge_kwh(alone, agreed, case.tariff)
        case = replace(case, clearing=replace(case.clearing, free_kwh=free))
    return case


def _shifts(net: np.ndarray) -> st.SearchStrategy[np.ndarray]:
    whole = st.lists(st.integers(-2, 2), min_size=net.size, max_size=net.size)
    return whole.map(lambda steps: np.array(steps).reshape(net.shape))
