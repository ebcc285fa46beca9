"""What somebody is handed to reach a community's server: one file that holds all it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import InputError
from runtime.files import write_text_atomically


class HandedFile(BaseModel):
    """Base of such files: where the server is, and how to know that it is the one.

    Attributes:
        KIND: what the file is called in words.
        domain: the XMPP domain, and the name in the server's certificate.
        host: name or address of the server to dial.
        port: TCP port for clients (STARTTLS).
        ca_pem: certificate of the authority that signed the server's (PEM).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    KIND: ClassVar[str]

    domain: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    ca_pem: str = Field(min_length=1, repr=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            InputError: it is missing, is not JSON, or a field is missing, unknown or out of range.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot read the {cls.KIND}: {error.strerror}") from error
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
