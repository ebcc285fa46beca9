"""The rounds of one session: who is asked what, whose position counts, what was agreed. No messages."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from coordinator.mechanisms import (
    Agreed,
    Answers,
    Bargain,
    Call,
    Clearing,
    Contract,
    Declaration,
    Declare,
    InTurn,
    Mechanism,
    Schedule,
    Signal,
)
from coordinator.mechanisms.base import Array
from coordinator.opting_out import who_opts_out
from coordinator.trades import ReportedTrade, matched_contracts
from runtime.records import Round, RoundKind


@dataclass(frozen=True)
class Answer:
    """What one member answered in a round.

    Attributes:
        net_kwh: its position, import > 0, shape (slots,) [kWh].
        limit_price_eur_per_kwh: its limit prices, where it was asked for them.
        declaration: its devices, where it was asked for them.
        trades: what it agreed on with others, where it was asked to bargain.
        bargaining_rounds: rounds that it bargained.
    """

    net_kwh: Array
    limit_price_eur_per_kwh: Array | None = None
    declaration: Declaration | None = None
    trades: tuple[ReportedTrade, ...] = ()
    bargaining_rounds: int = 0


class Negotiation:
    """Rounds of answers to a mechanism's calls.

    Attributes:
        mechanism: what makes the calls.
        call: what the running round asks; round 0 tells the grid's tariffs.
        number: the running round.
        asking: the members asked at present, with the call each of them gets; none once a round has ended.
        position_kwh: the members' last positions, shape (members, slots), import > 0 [kWh].
        position_round: by member, the round of its last position.
        rounds: the rounds held so far.
        agreed: how it ended, None before; so are the two below.
        clearing: the terms of settlement.
        opted_out: members that go back to their plans of round 0.
        bargaining_rounds: rounds that members bargained among themselves; 0 if they did not.
        disregarded: what members reported and does not count, in words.
        others: members of another community, whom members of this one may trade with.
        trades_across: what members reported to have agreed on with these.
    """

    def __init__(
        self, mechanism: Mechanism, members: list[str], *, concluded_by_others: bool = False
    ) -> None:
        """Begin with round 0.

        Args:
            mechanism: what makes the calls.
            members: who takes part, in the order of positions.
            concluded_by_others: who opts out is found out together with another community, and told by
                ``conclude``.
        """
        tariff = mechanism.tariff
        self.mechanism = mechanism
        self.call: Call = Signal(tariff.import_price_eur_per_kwh, tariff.export_price_eur_per_kwh)
        self.number = 0
        self.asking: dict[str, Signal | Declare | Bargain] = {}
        self.rounds: list[Round] = []
        self.agreed: Agreed | None = None
        self.clearing: Clearing | None = None
        self.opted_out: list[str] = []
        self.bargaining_rounds = 0
        self.disregarded: list[str] = []
        self.others: list[str] = []
        self.trades_across: dict[str, list[ReportedTrade]] = {}
        self._concluded_by_others = concluded_by_others
        self._members = members
        self._index = {name: index for index, name in enumerate(members)}
        self._waiting: set[str] = set()  # asked at present, and neither answered nor declined
        self.position_kwh = np.zeros((len(members), tariff.slots))
        self._agreed_kwh = self.position_kwh
        self.position_round = [0] * len(members)
        self._position_rounds: list[list[int]] = []
        self._answers: dict[str, Answer] = {}
        self._asked: list[str] = []
        self._declined: set[str] = set()
        self._turns: list[int] = []
        self._ask()

    # -- a round ---------------------------------------------------------------------------------------

    def answer(self, member: str, answer: Answer) -> None:
        """Take a member's answer in the running round."""
        index = self._index[member]
        self._answers[member] = answer
        self._waiting.discard(member)
        self.position_kwh[index] = answer.net_kwh
        self.position_round[index] = self.number

    def decline(self, member: str) -> None:
        """Note that a member will not answer in the running round."""
        self._declined.add(member)
        self._waiting.discard(member)

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for any more."""
        return not self._waiting

    def waits_for(self, member: str) -> bool:
        """Whether a member is asked at present and has neither answered nor declined."""
        return member in self._waiting

    @property
    def outstanding(self) -> list[str]:
        """Members that are asked at present and have neither answered nor declined."""
        return [name for name in self.asking if name in self._waiting]

    def next_turn(self) -> bool:
        """Ask the next member of a round that asks in turn; False when there is none."""
        if not self._turns:
            return False
        index = self._turns.pop(0)
        self.asking = {self._members[index]: self.mechanism.turn(index, self.position_kwh.copy())}
        self._asked += self.asking
        self._waiting = self.asking.keys() - self._answers.keys() - self._declined
        return True

    def end_round(self) -> Answers:
        """End the running round: record it; what the mechanism is to respond to."""
        late = [name for name in self._asked if name not in self._answers]
        self.rounds.append(self._round(late))
        self._position_rounds.append(list(self.position_round))
        limits = None
        if isinstance(self.call, Signal) and self.call.wants_limits:
            limits = np.full(self.position_kwh.shape, np.nan)
            for name, answer in self._answers.items():
                if answer.limit_price_eur_per_kwh is not None:
                    limits[self._index[name]] = answer.limit_price_eur_per_kwh
        contracts: tuple[Contract, ...] = ()
        if isinstance(self.call, Bargain):
            reports: dict[str, list[ReportedTrade]] = {}
            for name, answer in self._answers.items():
                reports[name] = [each for each in answer.trades if each.partner not in self.others]
                self.trades_across[name] = [each for each in answer.trades if each.partner in self.others]
            tariff = self.mechanism.tariff
            contracts, self.disregarded = matched_contracts(reports, self._members, tariff)
            self.bargaining_rounds = max(
                (answer.bargaining_rounds for answer in self._answers.values()), default=0
            )
        self.asking = {}
        return Answers(
            net_kwh=self.position_kwh.copy(),
            limit_price_eur_per_kwh=limits,
            declarations={
                self._index[name]: answer.declaration
                for name, answer in self._answers.items()
                if answer.declaration is not None
            },
            contracts=contracts,
            late=frozenset(self._index[name] for name in late),
        )

    def follow(self, response: Call | Agreed) -> None:
        """Go on with what the mechanism answered: the next round has begun, or all is agreed."""
        if isinstance(response, Agreed):
            self._agree(response)
            return
        self.call = response
        self.number += 1
        self._ask()

    def _ask(self) -> None:
        self._answers, self._declined, self._asked = {}, set(), []
        if isinstance(self.call, InTurn):
            self._turns = list(self.call.order)
            self.next_turn()
        else:
            self._turns = []
            self.asking = dict.fromkeys(self._members, self.call)
            if isinstance(self.call, Bargain) and self.call.shares:
                own = zip(self._members, self.call.shares, strict=True)
                self.asking = {name: replace(self.call, shares=(share,)) for name, share in own}
            self._asked = list(self._members)
            self._waiting = set(self._members)

    def _round(self, late: list[str]) -> Round:
        tariff = self.mechanism.tariff
        told = self.call if isinstance(self.call, Signal) else None
        imports = told.import_price_eur_per_kwh if told else tariff.import_price_eur_per_kwh
        exports = told.export_price_eur_per_kwh if told else tariff.export_price_eur_per_kwh
        return Round(
            number=self.number,
            kind=_kind_of(self.call),
            import_price_eur_per_kwh=imports.tolist(),
            export_price_eur_per_kwh=exports.tolist(),
            net_kwh={name: row.tolist() for name, row in zip(self._members, self.position_kwh, strict=True)},
            late=late,
            community_cost_eur=tariff.cost_eur(self.position_kwh),
        )

    # -- the agreement ---------------------------------------------------------------------------------

    def _agree(self, agreed: Agreed) -> None:
        self.agreed = agreed
        alone_kwh = self.positions_of(0)
        self._agreed_kwh = self.positions_of(agreed.round) if agreed.net_kwh is None else agreed.net_kwh
        if not self._concluded_by_others:
            self.conclude(*who_opts_out(self.mechanism, self._agreed_kwh, alone_kwh))

    def conclude(self, leaving: frozenset[int], clearing: Clearing) -> None:
        """End with who goes back to its plan alone, and the terms of settlement after that."""
        alone_kwh = self.positions_of(0)
        self.opted_out = [self._members[index] for index in sorted(leaving)]
        self.clearing = clearing
        self._agreed_kwh = self._agreed_kwh.copy()
        for index in leaving:
            self._agreed_kwh[index] = alone_kwh[index]

    def positions_of(self, number: int) -> Array:
        """The positions of a round held, shape (members, slots), import > 0 [kWh]."""
        return np.array([self.rounds[number].net_kwh[name] for name in self._members])

    @property
    def agreed_kwh(self) -> Array:
        """The agreed positions, shape (members, slots), import > 0 [kWh]."""
        self._ended()
        return self._agreed_kwh

    def agreed_position_kwh(self, member: str) -> Array:
        """A member's agreed net position, import > 0, shape (slots,)."""
        position_kwh: Array = self.agreed_kwh[self._index[member]]
        return position_kwh

    def agreed_position_round(self, member: str) -> int:
        """The round in which the member gave its agreed position."""
        number = 0 if member in self.opted_out else self._ended().round
        return self._position_rounds[number][self._index[member]]

    def schedule(self, member: str) -> Schedule | None:
        """What the coordinator planned for a member's devices; None where the member's own plan counts."""
        if member in self.opted_out:
            return None
        return self._ended().schedules.get(self._index[member])

    def _ended(self) -> Agreed:
        if self.agreed is None:
            raise ValueError("nothing is agreed yet")
        return self.agreed


def _kind_of(call: Call) -> RoundKind:
    match call:
        case InTurn():
            return "turns"
        case Declare():
            return "declarations"
        case Bargain():
            return "bargaining"
        case Signal(wants_limits=True):
            return "orders"
        case Signal():
            return "prices"
