"""Which process holds which account: each is handed the secrets of its own accounts and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runtime.errors import InputError
from runtime.rundir import controller_account, meter_account

METERS = "meters"
"""Holder of the accounts of all built-in meters, and of batteries' controllers: they are one process."""


DASHBOARD = "dashboard"
"""Who holds no account, but is handed the token that the dashboard asks for."""


def prosumer(member: str) -> str:
    """Holder of a member's account: its prosumer process."""
    return f"prosumer-{member}"


def accounts_by_holder(
    coordinators: Sequence[str], prosumers: Mapping[str, Sequence[str]], steered: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Accounts of each process of a fleet: coordinators, meters, then those that serve members.

    Args:
        coordinators: accounts of the run's coordinators, each a process that is named after it.
        prosumers: the processes that serve members, by holder, each with its members.
        steered: of them, those whose battery's set-points are written by the run itself.

    Returns:
        By holder, in a fixed order; all other accounts are the operator's to hand out.
    """
    members = [member for served in prosumers.values() for member in served]
    return {
        **{coordinator: [coordinator] for coordinator in coordinators},
        METERS: [*map(meter_account, members), *map(controller_account, steered)],
        **{holder: [*served] for holder, served in prosumers.items()},
    }


def accounts_of_member(member: str, accounts: Iterable[str], members: Sequence[str]) -> list[str]:
    """Accounts that a member holds where it runs everything of its own: its own, and its attached meters'.

    Raises:
        InputError: there is no such member.
    """
    if member not in members:
        raise InputError(f"found no member {member!r}, expected one of {', '.join(members)}")
    mine = [account for account in accounts if account == member or account.startswith(f"{member}.")]
    return [account for account in mine if account != meter_account(member)]
