"""Where the XMPP server is, how to trust it, and how an agent proves who it is."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.messaging.secrets import read_secret


class Connection(BaseModel):
    """The server of one deployment, as every agent of it is told.

    Each account has a random secret of its own in a file of its own: a process that is handed one secret can
    be that account and no other. A secret is read at each login, so it can be changed while agents run.

    Attributes:
        domain: the XMPP domain; the part of a JID after the ``@`` and the name in the server's certificate.
        host: name or address to dial, which need not be the domain.
        port: TCP port for clients (STARTTLS).
        ca_file: certificate (PEM) of the authority that signed the server's certificate.
        secrets_dir: folder with the secrets of the accounts that this connection is for, one file each.
        further_hosts: where else the same port is answered, of a server that is a cluster of nodes.
        secrets_may_change: whether secrets are changed by ways that reach server and account at different
            times, so that a password that is refused, at the first login too, may be accepted a little later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    ca_file: Path
    secrets_dir: Path
    further_hosts: tuple[str, ...] = ()
    secrets_may_change: bool = False

    @classmethod
    def load(cls, path: Path) -> Connection:
        """Read a connection file (JSON); relative paths in it start from its own folder.

        Raises:
            InputError: the file is missing, is not JSON, or a field is missing, unknown or out of range.
        """
        try:
            read = cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot read the connection file: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise InputError(f"{path}: {field}: {first['msg']}, found {first['input']!r:.80}") from error
        here = path.absolute().parent
        return read.model_copy(
            update={"ca_file": here / read.ca_file, "secrets_dir": here / read.secrets_dir}
        )

    def save(self, path: Path) -> None:
        """Write the connection file (JSON, readable by its owner only), atomically."""
        told = self.model_dump(mode="json", exclude_defaults=True)
        write_text_atomically(path, json.dumps(told, indent=2) + "\n", 0o600)

    @property
    def hosts(self) -> tuple[str, ...]:
        """All names and addresses to dial."""
        return (self.host, *self.further_hosts)

    def jid(self, local_part: str) -> str:
        """Return the bare JID of an account."""
        return f"{local_part}@{self.domain}"

    def password_for(self, local_part: str) -> str:
        """Return the password of an account as its file says now.

        Raises:
            InputError: the account's secret is missing or empty.
        """
        return read_secret(self.secrets_dir, local_part)
