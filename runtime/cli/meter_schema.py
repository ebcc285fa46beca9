"""``peerwatt meter schema``: the messages between a meter and its prosumer as JSON Schema."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from pydantic import Field, TypeAdapter

from runtime.cli.meter_protocol import protocol_page
from runtime.protocol.bodies import (
    Acknowledged,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteringEnded,
    Reading,
    ReadingCorrection,
    ReadingRequest,
    Reason,
)

_Told = MeterAttach | MeterDetach | Reading | ReadingCorrection | Reason
_Heard = MeterAttached | ReadingRequest | MeteringEnded | Acknowledged | Reason
_MeterBody = Annotated[_Told | _Heard, Field(discriminator="type")]


def print_schema(
    docs: Annotated[
        bool, typer.Option("--docs", help="Print how to write such a meter, as a page of Markdown.")
    ] = False,
) -> None:
    """Print the bodies that a meter sends and gets, as JSON Schema, for meters in other languages."""
    typer.echo(protocol_page() if docs else json.dumps(meter_schema(), indent=1))


def meter_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the bodies between a meter and its prosumer."""
    schema: dict[str, Any] = TypeAdapter(_MeterBody).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bodies of messages between a meter and its prosumer",
        **schema,
    }
