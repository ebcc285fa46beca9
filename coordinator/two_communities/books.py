"""The books of two communities as one: what both coordinators recorded, held together and joined.

Each coordinator has a record of its own. Here a contract across, which is in both, is kept once; energy and
money between the communities have to be the same on both sides; and what the communities cost together is
worked out. A slot of which the one never heard whether the other had traded in it is settled as not traded by
both (``unconfirmed``). The joined record is like that of a single community, and everything made
from it is too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from coordinator.costs import CommunityTariff
from coordinator.expected import expected_prices
from coordinator.mechanisms import Clearing
from coordinator.settlement import ENTERED_AT_THE_END
from coordinator.two_communities.unconfirmed import without_unconfirmed
from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError
from runtime.records import (
    AgreedContract,
    CommunityExchange,
    CoordinatorRecord,
    LedgerEntry,
    Round,
    SessionRecord,
)
from runtime.rundir import RunDirectory


def write_joined(directory: RunDirectory) -> None:
    """Join the records of a run's two communities, and write ``records/coordinator.json``.

    Where all members are in one community there is nothing to do: its coordinator wrote that file itself.

    Args:
        directory: the run.

    Raises:
        InputError: a record is missing or damaged, or the books differ.
    """
    if not directory.communities_dir.is_dir():
        return
    config = CoordinatorConfig.load(directory.coordinator_config)
    records = []
    for part in config.communities:
        path = directory.community_record(part.coordinator)
        try:
            records.append(CoordinatorRecord.load(path))
        except FileNotFoundError:
            raise InputError(
                f"{path}: missing; its coordinator writes it when the run ends. Where that ran with a folder "
                f"of its own, `peerwatt report {directory.path} --collect DIR` takes it from a copy of that"
            ) from None
        except ValueError as error:
            raise InputError(f"{path}: not a record: {str(error).splitlines()[0]}") from error
    joined_record(records, config.members).save(directory.coordinator_record)


def joined_record(records: Sequence[CoordinatorRecord], order: Sequence[str]) -> CoordinatorRecord:
    """Two coordinators' records as one.

    Args:
        records: the two, that of the leading one first.
        order: all members, in the scenario's order.

    Raises:
        InputError: the books differ: a contract across, or what was exchanged in a slot, is not the same in
            both.
    """
    first, second = records
    members = [name for name in order if name in {*first.members, *second.members}]
    if len(first.sessions) != len(second.sessions):
        raise InputError(
            f"books differ: {len(first.sessions)} and {len(second.sessions)} sessions were settled"
        )
    return first.model_copy(
        update={
            "members": members,
            "absent": [name for name in order if name in {*first.absent, *second.absent}],
            "sessions": [
                _joined_session(one, other, members)
                for one, other in zip(first.sessions, second.sessions, strict=True)
            ],
        }
    )


def _joined_session(one: SessionRecord, other: SessionRecord, members: Sequence[str]) -> SessionRecord:
    one, other = without_unconfirmed(one, other)
    _check_exchanges(one, other)
    place = {name: number for number, name in enumerate(members)}
    tariff = CommunityTariff.of_record(one)
    both = {**one.agreed_net_kwh, **other.agreed_net_kwh}
    agreed = {name: both[name] for name in members}
    local = np.array(
        [np.nan if price is None else float(price) for price in one.local_price_eur_per_kwh], dtype=np.float64
    )
    prices = expected_prices(np.array(list(agreed.values())), Clearing(local), tariff)
    return one.model_copy(
        update={
            "rounds": _joined_rounds(one.rounds, other.rounds, members, tariff),
            "bargaining_rounds": max(one.bargaining_rounds, other.bargaining_rounds),
            "agreed_net_kwh": agreed,
            "agreed_import_price_eur_per_kwh": prices.import_price_eur_per_kwh.round(9).tolist(),
            "agreed_export_price_eur_per_kwh": prices.export_price_eur_per_kwh.round(9).tolist(),
            "contracts": _joined_contracts(one, other, place),
            "opted_out": [name for name in members if name in {*one.opted_out, *other.opted_out}],
            "deliveries": sorted(
                [*one.deliveries, *other.deliveries], key=lambda each: (each.slot, place[each.member])
            ),
            "ledger": _joined_ledger(one, other, place),
            "bills": sorted([*one.bills, *other.bills], key=lambda bill: place[bill.member]),
            "communities": [*one.communities, *other.communities],
        }
    )


def _joined_rounds(
    one: Sequence[Round], other: Sequence[Round], members: Sequence[str], tariff: CommunityTariff
) -> list[Round]:
    """Round by round; a community that was alone and held fewer keeps its last positions."""
    found = []
    for number in range(max(len(one), len(other))):
        parts = [rounds[min(number, len(rounds) - 1)] for rounds in (one, other)]
        held = (one if number < len(one) else other)[number]
        both = {**parts[0].net_kwh, **parts[1].net_kwh}
        net_kwh = {name: both[name] for name in members}
        late = {name for rounds in (one, other) if number < len(rounds) for name in rounds[number].late}
        found.append(
            held.model_copy(
                update={
                    "net_kwh": net_kwh,
                    "late": [name for name in members if name in late],
                    "community_cost_eur": tariff.cost_eur(np.array(list(net_kwh.values()))),
                }
            )
        )
    return found


def _joined_contracts(
    one: SessionRecord, other: SessionRecord, place: Mapping[str, int]
) -> list[AgreedContract]:
    """Those inside, and of those across the ones that both coordinators have alike."""
    inside = [each for session in (one, other) for each in session.contracts if not _is_across(each, session)]
    there = [each for each in other.contracts if _is_across(each, other)]
    across = [each for each in one.contracts if _is_across(each, one) and each in there]

    def order(each: AgreedContract) -> tuple[int, int, int]:
        seller, buyer = place[each.seller], place[each.buyer]
        return min(seller, buyer), max(seller, buyer), seller

    return sorted([*inside, *across], key=order)


def _is_across(contract: AgreedContract, session: SessionRecord) -> bool:
    return not {contract.seller, contract.buyer} <= session.agreed_net_kwh.keys()


def _joined_ledger(one: SessionRecord, other: SessionRecord, place: Mapping[str, int]) -> list[LedgerEntry]:
    """All entries, in the order in which one coordinator would have made them; those across once."""
    inside: list[LedgerEntry] = []
    across: list[Counter[LedgerEntry]] = []
    for session in (one, other):
        here = session.agreed_net_kwh.keys()
        inside += [entry for entry in session.ledger if {*entry.parties()} <= here]
        across.append(Counter(entry for entry in session.ledger if not {*entry.parties()} <= here))
    for entry in (across[0] - across[1]) + (across[1] - across[0]):
        raise InputError(
            f"books differ: session {entry.session + 1}, slot {entry.slot}: {entry.energy_kwh} kWh by "
            f"contract, {entry.debit} to {entry.credit}, are in one coordinator's ledger only"
        )

    def order(entry: LedgerEntry) -> tuple[int, int, int, int, int]:
        if entry.kind in ENTERED_AT_THE_END:
            return 1, ENTERED_AT_THE_END.index(entry.kind), 0, place[entry.member], 0
        if entry.kind == "contract":
            buyer, seller = entry.parties()
            return 0, entry.slot, 0, place[seller], place[buyer]
        return 0, entry.slot, 1, place[entry.member], 0

    return sorted([*inside, *across[0].elements()], key=order)


def _check_exchanges(one: SessionRecord, other: SessionRecord) -> None:
    """What one community had from the other is what the other gave, in every slot, to the last digit."""
    (here,), (there,) = one.communities, other.communities
    known = {each.slot: each for each in here.exchanges}
    mirrored = {each.slot: _mirrored(each) for each in there.exchanges}
    for slot in sorted(known.keys() | mirrored.keys()):
        if slot not in known or slot not in mirrored:
            name = here.name if slot in known else there.name
            raise InputError(
                f"books differ: session {one.session + 1}, slot {slot} was settled with the other "
                f"community by {name} only"
            )
        for field in CommunityExchange.model_fields:
            found, expected = getattr(known[slot], field), getattr(mirrored[slot], field)
            if found != expected:
                raise InputError(
                    f"books differ: session {one.session + 1}, slot {slot}, {field}: {here.name} has "
                    f"{found}, {there.name} has {expected}"
                )


def _mirrored(exchange: CommunityExchange) -> CommunityExchange:
    """An exchange as the other side should have it."""
    return CommunityExchange(
        slot=exchange.slot,
        contract_import_kwh=exchange.contract_export_kwh,
        contract_export_kwh=exchange.contract_import_kwh,
        contract_paid_eur=exchange.contract_earned_eur,
        contract_earned_eur=exchange.contract_paid_eur,
        pool_import_kwh=exchange.pool_export_kwh,
        pool_export_kwh=exchange.pool_import_kwh,
        pool_price_eur_per_kwh=exchange.pool_price_eur_per_kwh,
        pool_paid_eur=-exchange.pool_paid_eur,
    )
