"""What a server keeps of secrets: SCRAM verifiers, from which nobody can log in."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from runtime.errors import InputError
from runtime.files import write_text_atomically

ITERATIONS = 4096
"""Least that RFC 7677 (section 4) allows; secrets are 256 random bits, which no number of guesses finds."""


class Verifier(BaseModel):
    """SCRAM-SHA-256 verifier of one account (RFC 5802 section 3, RFC 7677).

    Attributes:
        salt: its bytes are those of this text in Latin-1; ours are ASCII.
        iteration_count: rounds of PBKDF2.
        stored_key: ``H(ClientKey)`` in hexadecimal.
        server_key: ``ServerKey`` in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str
    iteration_count: int
    stored_key: str
    server_key: str


def verifier_of(secret: str, salt: str | None = None, iterations: int = ITERATIONS) -> Verifier:
    """Derive the verifier of a secret, with a fresh salt unless one is given."""
    salt = salt or secrets.token_hex(16)
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode("latin-1"), iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Verifier(
        salt=salt,
        iteration_count=iterations,
        stored_key=hashlib.sha256(client_key).hexdigest(),
        server_key=hmac.digest(salted, b"Server Key", "sha256").hex(),
    )


def load_verifiers(path: Path) -> dict[str, Verifier]:
    """Read a server's accounts.

    Raises:
        InputError: the file cannot be read or is not one of verifiers.
    """
    try:
        return TypeAdapter(dict[str, Verifier]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: cannot be read as a server's accounts: {error}") from error


def write_verifiers(path: Path, secret_of: Mapping[str, str]) -> bool:
    """Write a server's accounts, these and no others; verifiers of unchanged secrets are kept.

    Args:
        path: looked at by the server all the time.
        secret_of: secret of each account.

    Returns:
        Whether the file had to be changed.
    """
    text = changed_verifiers(path, secret_of)
    if text is not None:
        write_text_atomically(path, text, 0o600)
    return text is not None


def changed_verifiers(path: Path, secret_of: Mapping[str, str]) -> str | None:
    """What ``write_verifiers`` would write to ``path``; None where nothing changes."""
    before = load_verifiers(path) if path.exists() else {}

    def current(account: str) -> Verifier:
        old, secret = before.get(account), secret_of[account]
        same = old is not None and verifier_of(secret, old.salt, old.iteration_count) == old
        return old if old is not None and same else verifier_of(secret)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a millisecond each, of thousands
        after = dict(zip(secret_of, pool.map(current, secret_of), strict=True))
    if after == before:
        return None
    return json.dumps({name: verifier.model_dump() for name, verifier in after.items()}, indent=1) + "\n"
