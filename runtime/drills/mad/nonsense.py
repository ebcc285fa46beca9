"""What a mad member says: made of an answer that it was about to give, none of it to be taken by anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from runtime.protocol.bargain_bodies import TradeProposal
from runtime.protocol.bodies import (
    Acknowledged,
    Agreement,
    AnyBody,
    BillLine,
    DeliveryCorrection,
    DeliveryRequest,
    Join,
    MeterAttach,
    MeteringEnded,
    PriceSignal,
    ReadingRequest,
    SessionClosed,
)
from runtime.protocol.community_bodies import ExchangeEnded, RelayedTrades
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import meter_account

ANSWERS = frozenset({"position", "declaration", "bargain-report", "delivery"})
"""Types of bodies by which a member answers its coordinator."""

NO_SESSION = 9999
"""Number of a session that no scenario of a drill has."""

NONSENSE = "nonsense"
"""Event of the mad member's log: what it said so, each as id, recipient and what it was."""

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nonsense:
    """One message that is to be refused.

    Attributes:
        what: is wrong with it, for a person.
        envelope: the message.
    """

    what: str
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whom a mad member can speak to; names without domain.

    Attributes:
        others: members beside it, with meters of their own.
        coordinators: one, or those of two communities.
    """

    others: tuple[str, ...]
    coordinators: tuple[str, ...]


def body_type(envelope: Envelope) -> str:
    """Type of a message's body."""
    return str(json.loads(envelope.body)["type"])


def _numbered(value: object) -> Callable[[Fields], Fields]:
    """Puts a value in the place of the first slot's energy."""

    def change(fields: Fields) -> Fields:
        taken, given = _directions(fields)
        if isinstance(fields[taken], list):
            none = [0.0] * (len(fields[taken]) - 1)
            return {**fields, taken: [value, *none], given: [0.0, *none]}
        return {**fields, taken: value if isinstance(value, float | str) else str(value), given: "0"}

    return change


def _directions(fields: Fields) -> tuple[str, str]:
    if "purchase_kwh" in fields:
        return "purchase_kwh", "sale_kwh"
    return "grid_import_kwh", "grid_export_kwh"


def _both_ways(fields: Fields) -> Fields:
    taken, given = _directions(fields)
    one: object = [1.0] * max(1, len(fields[taken])) if isinstance(fields[taken], list) else "1"
    return {**fields, taken: one, given: one}


def _too_long(fields: Fields) -> Fields:
    """A series of another length; where there is none, more decimals than are settled."""
    taken, given = _directions(fields)
    if isinstance(fields[taken], list):
        return {**fields, taken: [0.0] * 999, given: [0.0] * 999}
    return {**fields, taken: "0.1234567890123", given: "0"}


_CHANGES: tuple[tuple[str, Callable[[Fields], Fields]], ...] = (
    ("NaN for an energy", _numbered(float("nan"))),
    ("an endless energy", _numbered(float("inf"))),
    ("an energy below zero", _numbered(-5.0)),
    ("an energy of a billion kWh", _numbered(1e9)),
    ("a word for an energy", _numbered("plenty")),
    ("both directions at once", _both_ways),
    ("another number of slots or decimals", _too_long),
    ("a field too many", lambda fields: {**fields, "please": True}),
    ("a type that there is not", lambda fields: {**fields, "type": "demand"}),
    ("a session below zero", lambda fields: {**fields, "session": -1}),
    ("no session", lambda fields: {name: value for name, value in fields.items() if name != "session"}),
)

_TEXTS: tuple[tuple[str, str], ...] = (
    ("no JSON", "kilowatts, plenty of them"),
    ("JSON that breaks off", '{"type": "position", "session": 0, "grid_imp'),
    ("a list", "[1, 2, 3]"),
    ("a number", "1e999"),
    ("JSON nested too deeply", "[" * 5000),
)


def spoilt_bodies(body: str) -> list[tuple[str, str]]:
    """What is made of an answer's body so that nobody can read it: what is wrong, and the text.

    Args:
        body: of an answer, or of a proposal to a partner.
    """
    fields = json.loads(body)
    return [*_TEXTS, *((what, json.dumps(change(fields))) for what, change in _CHANGES)]


def spoilt(said: Envelope, turn: int) -> Nonsense:
    """An answer itself, spoilt; the more turns, the more kinds."""
    bodies = spoilt_bodies(said.body)
    what, body = bodies[turn % len(bodies)]
    return Nonsense(what, replace(said, body=body))


def beside(
    said: Envelope, around: Surroundings, next_id: Callable[[], str], *, answered: bool
) -> Iterator[Nonsense]:
    """What is said beside an answer.

    Args:
        said: the answer as it was to be.
        around: to whom else it is said.
        next_id: gives ids.
        answered: whether the answer was given as it was to be: then others to the same follow.
    """
    domain = said.sender.partition("@")[2]

    def made(
        what: str, to: str, performative: Performative, body: AnyBody | str, *, replies: bool = False
    ) -> Nonsense:
        sent = Envelope(
            sender=said.sender,
            recipient=f"{to}@{domain}",
            performative=performative,
            protocol=said.protocol,
            conversation=said.conversation,
            message_id=next_id(),
            body=body if isinstance(body, str) else body.to_json(),
            in_reply_to=said.in_reply_to if replies else None,
            expects_reply=replies,  # so that it is heard though the question is answered
        )
        return Nonsense(what, sent)

    own = said.recipient.partition("@")[0]
    fields = json.loads(said.body)
    session = int(fields["session"])
    for what, text in spoilt_bodies(said.body):
        yield made(what, own, said.performative, text)
    for place in ("session", "round", "slot"):
        if place in fields:
            later = json.dumps({**fields, place: fields[place] + 1})
            yield made(f"an answer to another {place}", own, said.performative, later)
    yield made("an answer with a coordinator's performative", own, Performative.CFP, said.body, replies=True)
    yield made("an acceptance", own, Performative.ACCEPT_PROPOSAL, said.body, replies=True)
    if answered:
        other = json.dumps(_numbered("9" if fields["type"] == "delivery" else 9.0)(fields))
        yield made("another answer to the same", own, said.performative, other, replies=True)
    if fields["type"] == "delivery" and around.others:
        foreign = json.dumps({**fields, "meters": [meter_account(around.others[0])]})
        yield made("a delivery of another's meter", own, said.performative, foreign, replies=True)
    slots = len(fields["grid_import_kwh"]) if isinstance(fields["grid_import_kwh"], list) else 1
    for what, performative, body in _not_its_own(session, slots, around.others):
        yield made(what, own, performative, body)
    for other_name in around.others:
        for what, performative, body in _coordinators(session, slots):
            yield made(f"{what} to another member", other_name, performative, body)
        attach = MeterAttach(roles=["load"], source="mine")
        yield made("a meter's word to another member", other_name, Performative.SUBSCRIBE, attach)
        proposal = TradeProposal(
            session=NO_SESSION,
            round=1,
            purchase_kwh=[1.0],
            sale_kwh=[0.0],
            price_eur_per_kwh=[0.1],
            residual_kwh=None,
            green=False,
        )
        yield made("a trade in no session", other_name, Performative.PROPOSE, proposal)
        meter = meter_account(other_name)
        start = datetime(2024, 1, 1, tzinfo=UTC)
        request = ReadingRequest(
            session=session,
            slot=0,
            slot_start=start,
            slot_end=start + timedelta(minutes=15),
            roles=["load"],
        )
        yield made("a request to another's meter", meter, Performative.REQUEST, request)
        yield made("a farewell to another's meter", meter, Performative.INFORM, MeteringEnded())
    for name in around.coordinators:
        if name != own:
            yield made("an answer to the other community", name, said.performative, said.body)


def _not_its_own(
    session: int, slots: int, others: Sequence[str]
) -> Iterator[tuple[str, Performative, AnyBody]]:
    """What a member has no business to tell its coordinator."""
    yield from _coordinators(session, slots)
    if others:
        yield "a join in another's name", Performative.REQUEST, Join(member=others[0])
        relayed = RelayedTrades(session=session, member=others[0], trades=[])
        yield "another's trades", Performative.INFORM, relayed
    yield "thanks for nothing", Performative.CONFIRM, Acknowledged()
    ended = ExchangeEnded(session=session, slot=0, reason="as I please")
    yield "the end of the exchange between communities", Performative.CANCEL, ended
    correction = DeliveryCorrection(
        session=NO_SESSION,
        slot=0,
        grid_import_kwh=Decimal(9),
        grid_export_kwh=Decimal(0),
        quality="metered",
    )
    yield "a correction in no session", Performative.INFORM, correction


def _coordinators(session: int, slots: int) -> Iterator[tuple[str, Performative, AnyBody]]:
    """What a coordinator alone may say, as this member says it."""
    nothing, dear = [0.0] * slots, [0.5] * slots
    yield (
        "prices",
        Performative.CFP,
        PriceSignal(
            session=session, round=99, import_price_eur_per_kwh=dear, export_price_eur_per_kwh=nothing
        ),
    )
    yield (
        "an agreement",
        Performative.ACCEPT_PROPOSAL,
        Agreement(
            session=session,
            round=0,
            position_round=0,
            import_price_eur_per_kwh=dear,
            export_price_eur_per_kwh=nothing,
            local_price_eur_per_kwh=[None] * slots,
            grid_import_kwh=nothing,
            grid_export_kwh=nothing,
        ),
    )
    start = datetime(2024, 1, 1, tzinfo=UTC)
    yield (
        "a request for a delivery",
        Performative.REQUEST,
        DeliveryRequest(session=session, slot=0, slot_start=start, slot_end=start + timedelta(minutes=15)),
    )
    zero = Decimal(0)
    yield (
        "a bill line",
        Performative.INFORM,
        BillLine(
            session=session,
            slot=0,
            local_purchase_kwh=zero,
            local_sale_kwh=zero,
            grid_import_kwh=Decimal(1000),
            grid_export_kwh=zero,
            local_price_eur_per_kwh=None,
            import_price_eur_per_kwh=Decimal(1),
            export_price_eur_per_kwh=zero,
            amount_eur=Decimal(1000),
            quality="metered",
        ),
    )
    closed = SessionClosed(session=session, amount_eur=Decimal(1000), last=True)
    yield "the close of the session", Performative.INFORM, closed
