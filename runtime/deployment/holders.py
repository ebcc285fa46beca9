"""Which process holds which account: each is handed the secrets of its own accounts and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runtime.errors import InputError
from runtime.rundir import COORDINATOR, meter_account

METERS = "meters"
"""Holder of all built-in meters' accounts: they are one process."""

OPERATOR = "operator"
"""Whoever runs the deployment: holds all accounts, watches, and attaches meters."""


def prosumer(member: str) -> str:
    """Holder of a member's account: its prosumer process."""
    return f"prosumer-{member}"


def holder_of(account: str, members: Sequence[str]) -> str:
    """Name the process that logs in to an account; the operator's are those that no process needs."""
    if account in members:
        return prosumer(account)
    if account in {meter_account(member) for member in members}:
        return METERS
    return COORDINATOR if account.startswith(COORDINATOR) else OPERATOR


def accounts_by_holder(accounts: Iterable[str], members: Sequence[str]) -> dict[str, list[str]]:
    """Accounts of each process of a fleet: coordinator, meters, then each member's prosumer.

    Args:
        accounts: local parts of all accounts.
        members: names of the members.

    Returns:
        By holder, in a fixed order; the operator, who holds all, is left out.
    """
    held: dict[str, list[str]] = {COORDINATOR: [], METERS: [], **{prosumer(member): [] for member in members}}
    for account in accounts:
        holder = holder_of(account, members)
        if holder != OPERATOR:
            held[holder].append(account)
    return held


def accounts_of_member(member: str, accounts: Iterable[str], members: Sequence[str]) -> list[str]:
    """Accounts that a member holds where it runs everything of its own: its own, and its attached meters'.

    Raises:
        InputError: there is no such member.
    """
    if member not in members:
        raise InputError(f"found no member {member!r}, expected one of {', '.join(members)}")
    mine = [account for account in accounts if account == member or account.startswith(f"{member}.")]
    return [account for account in mine if holder_of(account, members) != METERS]
