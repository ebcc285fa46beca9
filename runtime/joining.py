"""What a device is handed to join a community as a member's meter: one file that holds all it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.configuration import ClockConfig, MeterRole
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.horizon import Horizon


class Joining(BaseModel):
    """A device's way into a community; who has it can speak for this one meter, and for nothing else.

    Attributes:
        format: of the file.
        member: whose meter it is.
        prosumer: bare JID of the member's agent, the only one that the meter answers.
        account: the meter's account, the part of its JID before the ``@``.
        secret: the account's password.
        domain: the XMPP domain, and the name in the server's certificate.
        host: name or address of the server to dial.
        port: TCP port for clients (STARTTLS).
        ca_pem: certificate of the authority that signed the server's (PEM).
        roles: what the member has to be metered.
        clock: the community's clock.
        sessions: slots of each session.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["peerwatt-join/1"] = "peerwatt-join/1"
    member: str = Field(min_length=1)
    prosumer: str = Field(min_length=3)
    account: str = Field(min_length=1)
    secret: str = Field(min_length=1, repr=False)
    domain: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    ca_pem: str = Field(min_length=1)
    roles: list[MeterRole] = Field(min_length=1)
    clock: ClockConfig
    sessions: list[Horizon] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> Joining:
        """Read a join file.

        Raises:
            InputError: the file is missing, is not JSON, or a field is missing, unknown or out of range.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot read the join file: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise InputError(f"{path}: {field}: {first['msg']}") from error

    def save(self, path: Path) -> None:
        """Write the join file, readable by its owner only, atomically."""
        write_text_atomically(path, json.dumps(self.model_dump(mode="json"), indent=1) + "\n", 0o600)
