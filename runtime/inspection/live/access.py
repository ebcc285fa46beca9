"""How the inspector reaches a deployment: from a run's folder, or from one file that can be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError
from runtime.handed_file import HandedFile
from runtime.messaging.connection import Connection
from runtime.messaging.lean_link import Account, tls_context
from runtime.rundir import INSPECTOR, RunDirectory


class InspectorAccess(HandedFile):
    """Who has it can ask this deployment's agents how they stand, and nothing else.

    Attributes:
        format: of the file.
        secret: password of the inspector's account.
        coordinators: accounts of the deployment's coordinators, who know the members.
    """

    KIND = "inspector's file"

    format: Literal["peerwatt-inspector/1"] = "peerwatt-inspector/1"
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

    def account(self) -> Account:
        """The account to log in with.

        Raises:
            InputError: the certificate is none.
        """
        return Account(
            INSPECTOR, self.domain, self.host, self.port, lambda: self.secret, tls_context(self.ca_pem)
        )
