"""The accounts of a community on a server that somebody else runs, as a file that its operator fills in."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.messaging.secrets import new_secret
from runtime.xmpp.accounts import check_accounts, check_domain
from runtime.xmpp.existing.authorities import certificates_in, system_authorities

SYSTEM = "system"
"""Authority: any that this system trusts."""

_HEAD = """\
# Accounts of {community} on an XMPP server that you run.
# Who has this file can be any of them: keep it to yourself.
# Make each account on the server with its password here, or write here the passwords that the server has.

domain = "{domain}"  # what follows the @ in all JIDs; the server's certificate has to be for it
authority = "{authority}"  # "{system}", or a file (PEM): certificate of who signed the server's

[passwords]  # by account, the part of the JID before the @
"""


class ServerAccounts(BaseModel):
    """What such a file says.

    Attributes:
        domain: of all JIDs.
        authority: ``system``, or a certificate's file, seen from the folder of this one.
        passwords: by account (local part).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    domain: str = Field(min_length=1)
    authority: str = Field(min_length=1)
    passwords: dict[str, str] = Field(min_length=1, repr=False)

    @classmethod
    def load(cls, path: Path) -> ServerAccounts:
        """Read the file.

        Raises:
            InputError: it is missing, others can read it, it is no TOML, or a field is missing, unknown or
                wrong, such as a domain that is none; no password is named.
        """
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot read the accounts: {error}") from error
        if mode & 0o077:
            raise InputError(
                f"{path}: holds passwords, but others may read or change it (mode {mode:04o}), expected mode "
                f"0600: chmod 600 {path}"
            )
        try:
            found = cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path}: expected TOML: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise InputError(f"{path}: {field}: {first['msg']}") from error
        check_domain(found.domain, f"{path}: domain")
        check_accounts(found.passwords, f"{path}: passwords")
        unfit = [name for name, word in found.passwords.items() if not word or word != word.strip()]
        if unfit:
            raise InputError(f"{path}: passwords: empty, or with spaces around it: {', '.join(unfit)}")
        return found

    def check_complete(self, path: Path, needed: Sequence[str]) -> None:
        """See that all accounts that a run logs in with are there.

        Args:
            path: the file, for errors.
            needed: accounts of the run's processes.

        Raises:
            InputError: naming all that are missing.
        """
        if missing := [account for account in needed if account not in self.passwords]:
            raise InputError(f"{path}: passwords: missing: {', '.join(missing)}")

    def only(self, accounts: Collection[str]) -> ServerAccounts:
        """The same without accounts that are not among these."""
        kept = {account: password for account, password in self.passwords.items() if account in accounts}
        return self.model_copy(update={"passwords": kept})

    def authority_pem(self, path: Path) -> str:
        """Certificates of whom to trust (PEM).

        Args:
            path: the file.

        Raises:
            InputError: they cannot be read.
        """
        if self.authority == SYSTEM:
            return system_authorities()
        return certificates_in(path.absolute().parent / self.authority)


def write_accounts_file(
    path: Path, community: str, domain: str, authority: str, accounts: Sequence[str]
) -> None:
    """Write a file with a fresh random password for each account, for its owner alone (0600).

    Args:
        path: not there yet.
        community: its name.
        domain: of all JIDs.
        authority: ``system``, or a certificate's file.
        accounts: local parts.

    Raises:
        InputError: the domain is none, the file is there, or cannot be written.
    """
    check_domain(domain, "--domain")
    if path.exists():
        raise InputError(f"{path}: is there already; passwords are not written over: choose another --out")
    if authority != SYSTEM:
        certificates_in(Path(authority))
        authority = os.path.relpath(authority, path.absolute().parent)
    shown = [_escaped(text) for text in (domain, authority)]
    head = _HEAD.format(
        community=community.replace("\n", " "), domain=shown[0], authority=shown[1], system=SYSTEM
    )
    lines = [f'"{_escaped(account)}" = "{new_secret()}"\n' for account in accounts]
    try:
        write_text_atomically(path, "".join([head, *lines]), 0o600)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _escaped(text: str) -> str:
    """A text within a TOML string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
