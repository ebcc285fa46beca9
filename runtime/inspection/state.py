"""What goes on in a run, folded from its logs' lines: little memory, however many messages there are."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from runtime.inspection.accounts import MemberAccount
from runtime.inspection.sessions import Fields, SessionView
from runtime.messagelog.record import EVENT_CONTINUED, EVENT_TORN_LINE, NOTE_RESENT, instant
from runtime.messagelog.speakers import Role, member_of, role_of
from runtime.protocol.floods import FLOODED, flooded_by
from runtime.protocol.inspection import INSPECTION_REFUSED, RECONNECTED
from runtime.rundir import COORDINATORS

SILENT_AFTER_S = 10.0
"""An agent that has not answered for so long is named."""


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number that an agent takes")


_BODIES = json.JSONDecoder(parse_constant=_no_number)

MOST_ALARMS = 200
_REFUSALS = frozenset({"refuse", "failure", "not-understood"})
_PHASES = {
    "admission": "joining",
    "price-signal": "negotiating",
    "declaration-request": "negotiating",
    "bargain-call": "bargaining",
    "agreement": "agreeing",
    "delivery-request": "operating",
    "session-closed": "closing",
}


@dataclass(slots=True)
class MemberView:
    """A member as the dashboard lists it.

    Attributes:
        name: whose.
        doing: what it said last, in words.
        at: when it wrote last.
        net_kwh: its metered energy of the last slot, import > 0.
        account: what it owes, for this session and since the run began.
        closed: whether it was told its bill.
        meter: who read it last.
        qualities: slots of all sessions by how they were come by.
    """

    name: str
    doing: str = "not seen yet"
    at: str = ""
    net_kwh: float | None = None
    account: MemberAccount = field(default_factory=MemberAccount)
    closed: bool = False
    meter: str = ""
    qualities: Counter[str] = field(default_factory=Counter)


class RunState:
    """The state of a run after the lines fed so far.

    Attributes:
        version: changes with everything that changes.
        messages: number of messages sent, repetitions left out.
        last_at: when the latest record was written, in the form of ``LogRecord.at``; empty before the first.
    """

    def __init__(self, members: list[str], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Begin with nothing seen; ``now`` gives the wall clock by which silence is judged."""
        self.version = 0
        self.messages = 0
        self._now = now
        self._members = {name: MemberView(name) for name in members}
        self._sessions: dict[int, SessionView] = {}
        self._slots: list[Fields] = []
        self._community: dict[str, Any] = {"community": "", "mechanism": ""}
        self._where: dict[str, Any] = {"phase": "starting", "session": 0, "round": None, "slot": None}
        self._alarms: deque[dict[str, str]] = deque(maxlen=MOST_ALARMS)
        self._alarm_count = 0
        self._asked: dict[tuple[str, str], tuple[str, str, str]] = {}
        self.last_at = ""

    def feed(self, at: str, agent: str, line: bytes) -> None:
        """Take a log's line."""
        self.version += 1
        self.last_at = max(self.last_at, at)
        if b'"kind":"in"' in line[:90] and b',"note":"' not in line[-400:]:
            return
        try:
            fields = json.loads(line)
            if fields["kind"] == "event":
                self._event(at, agent, fields)
            else:
                self._message(at, agent, fields)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            self._alarm(at, agent, "wrote a line that cannot be read")

    # -- what happens ----------------------------------------------------------------------------------

    def _event(self, at: str, agent: str, fields: Fields) -> None:
        match fields["name"]:
            case name if name == EVENT_CONTINUED:
                self._alarm(at, agent, "was started again")
            case name if name == EVENT_TORN_LINE:
                self._alarm(at, agent, "lost half a record to a crash")
            case name if name == RECONNECTED:
                self._alarm(at, agent, f"lost its connection and is back: {fields['data'].get('after')}")
            case name if name == INSPECTION_REFUSED:
                self._alarm(at, agent, f"refused the inspector: {fields['data'].get('reason')}")
            case name if name == FLOODED:
                by, messages = flooded_by(fields["data"])
                self._alarm(at, agent, f"was flooded by {by}: {messages} messages were not listened to")
            case "malformed":
                self._alarm(at, agent, f"got no market message from {fields['data'].get('sender')}")

    def _message(self, at: str, agent: str, fields: Fields) -> None:
        note = fields.get("note") or ""
        sender, recipient = (fields[end].partition("@")[0] for end in ("from", "to"))
        if fields["kind"] == "in":
            return
        if note.startswith(NOTE_RESENT):
            self._alarm(
                at, agent, f"repeated its message {fields['id']} to {recipient}, which was not answered"
            )
            return
        self.messages += 1
        body = _BODIES.decode(fields["body"])
        kind = str(body.get("type"))
        if fields["re"] is not None:
            asked = self._asked.get((recipient, sender))
            if asked is not None and asked[0] == fields["re"]:
                del self._asked[recipient, sender]
        if fields["expects_reply"]:
            self._asked[sender, recipient] = (fields["id"], at, kind)
        if fields["performative"] in _REFUSALS:
            self._alarm(at, sender, f"to {recipient}, {fields['performative']}: {body.get('reason', '')}")
        if sender in COORDINATORS:
            self._coordinator_said(recipient, kind, body)
        elif role_of(sender) is Role.MEMBER:
            self._member_said(at, sender, recipient, kind, body)
        elif kind == "reading":
            member = self._members.get(member_of(sender))
            if member is not None:
                member.meter = sender

    def _coordinator_said(self, member: str, kind: str, body: Fields) -> None:
        if kind == "admission":
            self._slots = body["sessions"]
            self._community = {name: body[name] for name in self._community}
        self._where["phase"] = _PHASES.get(kind, self._where["phase"])
        if "session" not in body:
            return
        number = body["session"]
        if number != self._where["session"]:
            for view in self._members.values():
                view.closed, view.net_kwh = False, None
            self._where |= {"round": None, "slot": None}
        self._where["session"] = number
        session = self._session(number)
        for name in ("round", "slot"):
            if name in body:
                self._where[name] = body[name]
        known = self._members.get(member)
        match kind:
            case "price-signal":
                session.price_signal(body)
            case "agreement":
                session.agreement(body)
            case "bill-line":
                session.bill_line(body)
                if known is not None:
                    known.account.bill_line(body)
            case "adjustment-line":
                if known is not None:
                    known.account.adjustment_line(body)
            case "session-closed":
                if known is not None:
                    known.account.session_closed(body)
                    known.closed = True
                if body["last"] and all(view.closed or not view.at for view in self._members.values()):
                    self._where["phase"] = "done"

    def _session(self, number: int) -> SessionView:
        if number not in self._sessions:
            slots = self._slots[number]["slots"] if number < len(self._slots) else 0
            self._sessions[number] = SessionView(number, slots)
        return self._sessions[number]

    def _member_said(self, at: str, member: str, recipient: str, kind: str, body: Fields) -> None:
        view = self._members.setdefault(member, MemberView(member))
        view.at = at
        if recipient not in COORDINATORS:
            if kind == "trade-proposal":
                view.doing = f"bargains with {recipient}, round {body['round']}"
            return
        match kind:
            case "join":
                view.doing = "asked to join"
            case "position" | "bargain-report" | "declaration":
                view.doing = f"answered round {body['round']}"
                self._session(body["session"]).position(member, body)
            case "delivery":
                view.doing = f"delivered slot {body['slot']}"
                view.net_kwh = float(body["grid_import_kwh"]) - float(body["grid_export_kwh"])
                view.qualities[body["quality"]] += 1
            case "acknowledged":
                view.doing = "took in the bill" if view.closed else "took in the agreement"

    def _alarm(self, at: str, agent: str, text: str) -> None:
        self._alarm_count += 1
        self._alarms.append({"at": at, "agent": agent, "text": text})

    @staticmethod
    def _told_eur(view: MemberView, amount: Decimal) -> str | None:
        """An exact amount, once there was word of its member."""
        return f"{amount:f}" if view.at else None

    # -- what is shown ---------------------------------------------------------------------------------

    def silent(self) -> list[dict[str, str]]:
        """Agents that owe an answer for long, as alarms."""
        now = self._now()
        found = []
        for (sender, recipient), (_, at, kind) in self._asked.items():
            waited_s = (now - instant(at)).total_seconds()
            if waited_s > SILENT_AFTER_S:
                text = f"has not answered {sender}'s {kind} for {waited_s:.0f} s"
                found.append({"at": at, "agent": recipient, "text": text})
        return found

    def as_json(self, session: int | None = None, *, finished: bool, stopped: bool = False) -> dict[str, Any]:
        """Give the state as a JSON object; amounts of money are exact decimals, as text.

        Args:
            session: the session to show; None for the latest.
            finished: whether the run has ended: then nobody is silent.
            stopped: whether nobody runs it any more, though it has not ended; nor is anybody then.
        """
        shown = self._sessions.get(self._where["session"] if session is None else session)
        silent = [] if finished or stopped else self.silent()
        horizon = self._slots[shown.number] if shown and shown.number < len(self._slots) else None
        return {
            **self._community,
            **self._where,
            "phase": "done" if finished else "stopped" if stopped else self._where["phase"],
            "version": self.version,
            "messages": self.messages,
            "last_at": self.last_at,
            "sessions": len(self._slots),
            "horizons": self._slots,
            "shown": None if shown is None else {**shown.as_json(), "horizon": horizon},
            "members": [
                {
                    "name": view.name,
                    "doing": view.doing,
                    "at": view.at,
                    "net_kwh": view.net_kwh,
                    "owed_eur": self._told_eur(view, view.account.session_eur(self._where["session"])),
                    "owed_in_all_eur": self._told_eur(view, view.account.total_eur()),
                    "closed": view.closed,
                    "meter": view.meter,
                    "qualities": view.qualities,
                    "silent": any(alarm["agent"] == view.name for alarm in silent),
                }
                for view in self._members.values()
            ],
            "alarms": [*silent, *reversed(self._alarms)],
            "alarm_count": self._alarm_count + len(silent),
        }
