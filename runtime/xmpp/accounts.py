"""The list of a run's accounts, as servers are given it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import InputError

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)


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


def check_domain(domain: str, where: str) -> None:
    """Check that JIDs can have a domain: a host's name (RFC 1123), in any script that IDNA writes so.

    Raises:
        InputError: they cannot.
    """
    try:
        labels = domain.encode("idna").decode("ascii").split(".")
    except UnicodeError:
        labels = [""]
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise InputError(
            f"{where}: found {domain!r}, expected a domain such as village.example: letters, digits and "
            "hyphens, with dots between"
        )
