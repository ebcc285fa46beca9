"""Who may say what to whom: the roles of a market's agents, by the names of their accounts."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from runtime.errors import ProtocolError
from runtime.protocol.envelope import Envelope
from runtime.rundir import COORDINATORS, controller_account, meter_accounts

_METERS = tuple(meter_accounts(""))
_CONTROLLER = controller_account("")


class Role(StrEnum):
    """What an agent is in a market."""

    COORDINATOR = "coordinator"
    MEMBER = "member"
    METER = "meter"
    CONTROLLER = "controller"


_COORDINATOR_SAYS = {
    "admission": {"agree"},
    "price-signal": {"cfp"},
    "declaration-request": {"cfp"},
    "bargain-call": {"cfp"},
    "agreement": {"accept-proposal"},
    "delivery-request": {"request"},
    "bill-line": {"inform"},
    "adjustment-line": {"inform"},
    "session-closed": {"inform"},
}
_MEMBER_SAYS = {
    "join": {"request"},
    "position": {"propose"},
    "declaration": {"propose", "inform"},
    "bargain-report": {"propose"},
    "delivery": {"inform"},
    "delivery-correction": {"inform"},
    "acknowledged": {"confirm"},
}
_MEMBER_SAYS_TO_METER = {
    "reading-request": {"request"},
    "meter-attached": {"agree"},
    "metering-ended": {"inform"},
    "acknowledged": {"confirm"},
}
_METER_SAYS = {
    "reading": {"inform"},
    "reading-correction": {"inform"},
    "meter-attach": {"subscribe"},
    "meter-detach": {"cancel"},
    "acknowledged": {"confirm"},
}
_MEMBER_SAYS_TO_CONTROLLER = {
    "setpoint": {"inform"},
    "setpoints-ended": {"inform"},
    "acknowledged": {"agree", "confirm"},
}
_CONTROLLER_SAYS = {
    "setpoint-subscribe": {"subscribe"},
    "setpoint-cancel": {"cancel"},
    "setpoint-outcome": {"confirm", "inform", "failure"},
    "acknowledged": {"confirm"},
}
_ANYBODY_SAYS = {"reason": {"refuse", "failure", "not-understood"}}

_COORDINATORS_SAY = {
    "community-statement": {"inform"},
    "relayed-trades": {"inform"},
    "metered-exchange": {"propose", "accept-proposal"},
    "exchange-ended": {"cancel"},
    "exchange-closed": {"inform"},
    "acknowledged": {"confirm"},
}

MAY_SAY: dict[tuple[Role, Role], dict[str, set[str]]] = {
    (Role.COORDINATOR, Role.COORDINATOR): _COORDINATORS_SAY | _ANYBODY_SAYS,
    (Role.COORDINATOR, Role.MEMBER): _COORDINATOR_SAYS | _ANYBODY_SAYS,
    (Role.MEMBER, Role.COORDINATOR): _MEMBER_SAYS | _ANYBODY_SAYS,
    (Role.MEMBER, Role.MEMBER): {"trade-proposal": {"propose"}, "acknowledged": {"confirm"}} | _ANYBODY_SAYS,
    (Role.MEMBER, Role.METER): _MEMBER_SAYS_TO_METER | _ANYBODY_SAYS,
    (Role.METER, Role.MEMBER): _METER_SAYS | _ANYBODY_SAYS,
    (Role.MEMBER, Role.CONTROLLER): _MEMBER_SAYS_TO_CONTROLLER | _ANYBODY_SAYS,
    (Role.CONTROLLER, Role.MEMBER): _CONTROLLER_SAYS | _ANYBODY_SAYS,
}
"""By roles of sender and recipient: types of bodies, and the performatives that go with them."""


@lru_cache(maxsize=16_384)  # asked for both ends of every message
def role_of(local_part: str) -> Role:
    """An agent's role, from the local part of its account."""
    if local_part in COORDINATORS:
        return Role.COORDINATOR
    if local_part.endswith(_CONTROLLER):
        return Role.CONTROLLER
    return Role.METER if local_part.endswith(_METERS) else Role.MEMBER


def member_of(account: str) -> str:
    """The member that the account of a meter or controller belongs to."""
    found = next((suffix for suffix in (*_METERS, _CONTROLLER) if account.endswith(suffix)), "")
    return account.removesuffix(found)


def why_not(sender: str, recipient: str, performative: str, body_type: str | None) -> str | None:
    """Why ``sender`` may not say this to ``recipient``; None if it may.

    Args:
        sender: bare JID, as the server authenticated it.
        recipient: bare JID.
        performative: FIPA performative.
        body_type: type of the body; None for a body that is none.
    """
    (name, _, domain), (other, _, other_domain) = sender.partition("@"), recipient.partition("@")
    if domain != other_domain:
        return f"{sender} is of another server than {recipient}"
    here, there = role_of(name), role_of(other)
    for own in (Role.METER, Role.CONTROLLER):
        if own in (here, there) and member_of(name) != member_of(other):
            return f"a {own} may speak with its own member only, not {name} with {other}"
    allowed = MAY_SAY.get((here, there), {}).get(body_type or "")
    if allowed is None:
        return f"a {here} may not send {body_type or 'a body of no type'} to a {there}"
    if performative not in allowed:
        return f"{body_type} goes with {' or '.join(sorted(allowed))}, not with {performative}"
    return None


def check_allowed(envelope: Envelope, body_type: str) -> None:
    """Check that the sender of a message may say it to its recipient.

    Raises:
        ProtocolError: it may not: the body is another role's to say, or goes with another performative.
    """
    reason = why_not(envelope.sender, envelope.recipient, envelope.performative.value, body_type)
    if reason is not None:
        raise ProtocolError(reason)
