"""The part of ``peerwatt bench fleet`` that packs many members into a process: options, table, figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.bench.packed import PackedFigures
    from runtime.bench.timings import Spread


def check_packed(packed: list[int], members_per_process: int) -> None:
    """See that members can be packed so.

    Raises:
        InputError: fewer than two members, or fewer than two a process: then nothing is shared.
    """
    if members_per_process < 2:
        raise InputError(f"--members-per-process: found {members_per_process}, expected at least 2")
    for members in packed:
        if members < 2:
            raise InputError(f"--packed: found {members}, expected at least 2 members")


def packed_as_dict(figures: PackedFigures) -> dict[str, Any]:
    """All figures, for machines to read."""
    return {
        **asdict(figures),
        "messages_per_s": figures.messages_per_s,
        "further_member_uss_mib": figures.further_member_uss_mib,
    }


def packed_rows(figures: PackedFigures) -> list[tuple[str, str]]:
    """What is printed: names with their units, and figures."""
    memory = {kind: each.uss_mib for kind, each in figures.memory.items()}
    return [
        ("connected and ready [s]", f"{figures.ready_s:.1f}"),
        ("round without solving [ms]", _milliseconds(figures.round_s)),
        ("  messages per second", f"{figures.messages_per_s:.0f}"),
        ("slot [ms]", _milliseconds(figures.slot_s)),
        ("  messages per second", f"{figures.slot_messages_per_s:.0f}"),
        ("in all, start to stop [s]", f"{figures.whole_s:.1f}"),
        ("worker, USS [MiB]", f"{memory['prosumer'].median:.0f} / {memory['prosumer'].max:.0f}"),
        ("  a process with one member", f"{figures.alone_uss_mib:.0f}"),
        ("  each further member", f"{figures.further_member_uss_mib:.2f}"),
        ("coordinator, USS [MiB]", f"{memory['coordinator'].max:.0f}"),
        ("all meters, USS [MiB]", f"{memory['meters'].max:.0f}"),
        ("XMPP server, USS [MiB]", f"{memory['server'].max:.0f}"),
        ("restarts, messages resent", f"{figures.restarts}, {figures.resent}"),
    ]


def _milliseconds(spread: Spread) -> str:
    return f"{1000 * spread.median:.0f} / {1000 * spread.max:.0f}"
