"""How the inspector reaches a deployment: from a run's folder, or from one file that can be handed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.messaging.connection import Connection
from runtime.messaging.lean_link import Account, tls_context
from runtime.rundir import INSPECTOR, RunDirectory


class InspectorAccess(BaseModel):
    """Who has it can ask this deployment's agents how they stand, and nothing else.

    Attributes:
        format: of the file.
        domain: the XMPP domain, and the name in the server's certificate.
        host: name or address of the server to dial.
        port: TCP port for clients (STARTTLS).
        ca_pem: certificate of the authority that signed the server's (PEM).
        secret: password of the inspector's account.
        coordinators: accounts of the deployment's coordinators, who know the members.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["peerwatt-inspector/1"] = "peerwatt-inspector/1"
    domain: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    ca_pem: str = Field(min_length=1, repr=False)
    secret: str = Field(min_length=1, repr=False)
    coordinators: list[str] = Field(min_length=1)

    @classmethod
    def of_run(cls, directory: RunDirectory, connection_path: Path | None = None) -> InspectorAccess:
        """Find it in a run's folder.

        Args:
            directory: the run's.
            connection_path: connection file; the run's own if None.

        Raises:
            InputError: the run has no connection, or certificate or secret cannot be read.
        """
        path = connection_path or directory.connection_json
        if not path.exists():
            raise InputError(f"{directory.path}: is not running: there is no {path}")
        connection = Connection.load(path)
        try:
            ca_pem = connection.ca_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{connection.ca_file}: cannot read the certificate: {error}") from error
        return cls(
            domain=connection.domain,
            host=connection.host,
            port=connection.port,
            ca_pem=ca_pem,
            secret=connection.password_for(INSPECTOR),
            coordinators=CoordinatorConfig.load(directory.coordinator_config).coordinators,
        )

    @classmethod
    def load(cls, path: Path) -> InspectorAccess:
        """Read the file.

        Raises:
            InputError: it is missing, is not JSON, or a field is missing, unknown or out of range.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot read the inspector's file: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise InputError(f"{path}: {field}: {first['msg']}") from error

    def save(self, path: Path) -> None:
        """Write the file, readable by its owner only, atomically.

        Raises:
            InputError: it cannot be written.
        """
        try:
            write_text_atomically(path, json.dumps(self.model_dump(mode="json"), indent=1) + "\n", 0o600)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error

    def account(self) -> Account:
        """The account to log in with.

        Raises:
            InputError: the certificate is none.
        """
        return Account(
            INSPECTOR, self.domain, self.host, self.port, lambda: self.secret, tls_context(self.ca_pem)
        )
