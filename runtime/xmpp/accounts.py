"""The list of a run's accounts, as servers are given it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import InputError


def load_accounts(path: Path) -> list[str]:
    """Read the accounts: a JSON list of local parts.

    Raises:
        InputError: the file is missing, is not such a list, or names an account twice or wrongly.
    """
    try:
        accounts = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot read the accounts: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: expected a JSON list of account names: {error}") from error
    if not isinstance(accounts, list):
        raise InputError(f"{path}: expected a JSON list of account names, found {type(accounts).__name__}")
    check_accounts(accounts, str(path))
    return accounts


def check_accounts(accounts: Iterable[object], where: str) -> None:
    """Check that account names can be local parts of JIDs, as every server would store them.

    Raises:
        InputError: naming the account.
    """
    seen: set[object] = set()
    for account in accounts:
        if (
            not isinstance(account, str)
            or not 0 < len(account) <= 255
            or account != account.casefold()
            or any(sign.isspace() or sign in "\"&'/:<>@" or not sign.isprintable() for sign in account)
        ):
            raise InputError(
                f"{where}: account {account!r}: expected lower-case text without spaces "
                "and without \" & ' / : < > @"
            )
        if account in seen:
            raise InputError(f"{where}: account {account!r} is there twice")
        seen.add(account)
