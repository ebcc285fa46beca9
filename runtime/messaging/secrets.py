"""Accounts' secrets: random, one file each, so that each process is handed those of its own accounts only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import InputError
from runtime.files import write_text_atomically

SECRET_BYTES = 32
"""Length of a random secret; its file holds it in hexadecimal, one line."""


def new_secret() -> str:
    """Return a fresh secret: 256 random bits in hexadecimal."""
    return secrets.token_hex(SECRET_BYTES)


def read_secret(directory: Path, account: str) -> str:
    """Read the secret of an account from a folder with one file for each account, named after it.

    Raises:
        InputError: the file is missing, cannot be read or is empty.
    """
    path = directory / account
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path}: cannot read the secret of account {account!r}: {why}") from error
    if not secret:
        raise InputError(f"{path}: the secret is empty, expected one line of text")
    return secret


def write_secret(directory: Path, account: str, secret: str) -> None:
    """Write the secret of an account, for its owner only; a reader meets the old or the new one."""
    write_text_atomically(directory / account, secret + "\n", 0o600)


def ensure_secrets(directory: Path, accounts: Iterable[str]) -> dict[str, str]:
    """Make the secrets that are missing in ``directory``; those that are there are kept.

    Args:
        directory: holds one file for each account; made if missing (0700).
        accounts: local parts.

    Returns:
        The secret of each account.

    Raises:
        InputError: a file is there but cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    made = {}
    for account in accounts:
        # Not by way of a temporary file: a large community has a thousand of these.
        try:
            handle = os.open(directory / account, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            made[account] = read_secret(directory, account)
            continue
        made[account] = new_secret()
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(made[account] + "\n")
    return made
