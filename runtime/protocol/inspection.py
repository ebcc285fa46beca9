"""What is said between agents and the inspector: who may only look on. No I/O, no part of the market.

An agent answers the inspector's ``query-ref`` itself, without its machine: the question changes nothing, is
not replayed, and is no message of the market. Everything else the inspector says is refused.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from runtime.errors import ProtocolError
from runtime.protocol.body_base import Body

_B = TypeVar("_B", bound=Body)

INSPECTED, INSPECTION_REFUSED, RECONNECTED = "inspected", "inspection-refused", "reconnected"
"""Events that an agent logs and its machine is not told of: somebody looked on, or wanted more than that; the
connection came back."""


class StatusQuery(Body):
    """How do you stand?"""

    type: Literal["status-query"] = "status-query"


class MemberStanding(Body):
    """A member as the coordinator knows it.

    Attributes:
        name: the member's.
        joined: whether it takes part.
    """

    name: str = Field(max_length=255)
    joined: bool


class Status(Body):
    """How an agent stands.

    Attributes:
        agent: its account.
        role: what it is: ``coordinator``, ``member`` or ``meter``.
        phase: where it is in the market.
        session: market session, from 0, or None between sessions.
        sessions: how many there are.
        round: round of the negotiation, or None.
        slot: slot of the session, or None.
        slots: how many the session has.
        waits_for: accounts that owe it an answer.
        computing: computations under way.
        members: the community's members, if it is the coordinator.
        up_s: how long its process has carried it [s].
        records: records in its message log.
        reconnects: how often its connection came back since its process started.
    """

    type: Literal["status"] = "status"
    agent: str = Field(max_length=255)
    role: Literal["coordinator", "member", "meter"]
    phase: str = Field(max_length=40)
    session: int | None = None
    sessions: int | None = None
    round: int | None = None
    slot: int | None = None
    slots: int | None = None
    waits_for: list[str] = Field(default_factory=list)
    computing: list[str] = Field(default_factory=list)
    members: list[MemberStanding] = Field(default_factory=list)
    up_s: float = Field(ge=0)
    records: int = Field(ge=0)
    reconnects: int = Field(ge=0)


def parse_query(text: str) -> StatusQuery:
    """Read a question.

    Raises:
        ProtocolError: it is none.
    """
    return _parsed(StatusQuery, text)


def parse_status(text: str) -> Status:
    """Read an answer.

    Raises:
        ProtocolError: it is none.
    """
    return _parsed(Status, text)


def _parsed(kind: type[_B], text: str) -> _B:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise ProtocolError(f"{field}: {first['msg']}") from error
