"""The table of what two communities exchanged, slot by slot."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.records import CoordinatorRecord
from runtime.results.money_tables import decimal_text, slot_starts
from runtime.results.table import Cell, Table

_KWH = ("contract_import_kwh", "contract_export_kwh", "pool_import_kwh", "pool_export_kwh")
_EUR = ("contract_paid_eur", "contract_earned_eur", "pool_paid_eur")


def exchange_table(coordinator: CoordinatorRecord) -> Table | None:
    """Energy and money between two communities; None where all members are in one.

    Each slot has a row for either community. Energies are what it took from (import) and gave to (export) the
    other, by members' contracts and from pool to pool; a slot that each settled alone says so and has none.

    Args:
        coordinator: the joined record.
    """
    if not any(session.communities for session in coordinator.sessions):
        return None
    columns = {
        "session": "INTEGER",
        "slot": "INTEGER",
        "slot_start": "TEXT",
        "community": "TEXT",
        "other_community": "TEXT",
        "together": "INTEGER",
        **dict.fromkeys(_KWH, "TEXT"),
        "pool_price_eur_per_kwh": "TEXT",
        **dict.fromkeys(_EUR, "TEXT"),
    }
    return Table(
        "exchanges",
        columns,
        ("session", "slot", "community"),
        list(_rows(coordinator)),
        optional=frozenset((*_KWH, "pool_price_eur_per_kwh", *_EUR)),
    )


def _rows(coordinator: CoordinatorRecord) -> Iterator[tuple[Cell, ...]]:
    for session in coordinator.sessions:
        starts = slot_starts(session)
        names = [part.name for part in session.communities]
        known = [{each.slot: each for each in part.exchanges} for part in session.communities]
        for slot in sorted({delivery.slot for delivery in session.deliveries}):
            for name, other, exchanges in zip(names, names[::-1], known, strict=True):
                place = (session.session, slot, starts[slot], name, other)
                exchange = exchanges.get(slot)
                if exchange is None:
                    yield (*place, 0, *[None] * (len(_KWH) + 1 + len(_EUR)))
                    continue
                price = exchange.pool_price_eur_per_kwh
                yield (
                    *place,
                    1,
                    *(decimal_text(getattr(exchange, field)) for field in _KWH),
                    None if price is None else decimal_text(price),
                    *(decimal_text(getattr(exchange, field)) for field in _EUR),
                )
