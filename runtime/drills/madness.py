"""A member that says nonsense, and whether everybody refused it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.drills.base import Fault, Struck, steps_later
from runtime.drills.mad.__main__ import Madness
from runtime.drills.mad.nonsense import NONSENSE
from runtime.messagelog.reader import log_paths, read_log
from runtime.messagelog.record import RecordKind
from runtime.messaging.feed import MALFORMED
from runtime.protocol.envelope import Performative

STEPS = 3

MOST_OTHERS = 3
"""So many other members are told nonsense."""

_REFUSALS = frozenset({Performative.REFUSE, Performative.NOT_UNDERSTOOD})


class Mad(Fault):
    """A member with a good account says nonsense."""

    name = "mad"
    does = (
        f"a member spoils every second answer, for {STEPS} rounds or slots, and floods all with nonsense: no "
        "JSON, NaN, other sessions, others' names, a coordinator's words, two answers to one question; all "
        "is refused, its first answer that can be read counts, and without one it is as if silent"
    )
    loses = True
    hits_member = True
    says_nonsense = True

    def __init__(self, struck: Struck) -> None:
        super().__init__(struck)
        self._mad = False

    def program(self, name: str, module: str, arguments: list[str]) -> tuple[str, list[str]]:
        """Start the member's program by way of one that makes it mad."""
        struck = self.struck
        if name != struck.victim and f"--member={struck.victim}" not in arguments:
            return module, arguments
        others = [each for each in struck.members if each != struck.victim]
        settings = Madness(
            member=struck.victim,
            others=tuple(random.Random(struck.seed).sample(others, min(MOST_OTHERS, len(others)))),
            coordinators=struck.coordinators,
            flag=struck.flag.absolute(),
        )
        return "runtime.drills.mad", [settings.model_dump_json(), module, *arguments]

    def strike(self) -> None:
        """Begin."""
        self.struck.flag.touch()
        self._mad = True

    def step(self, phase: str, detail: dict[str, Any]) -> None:
        """End after a while."""
        if self._mad and steps_later(self.struck.moment, phase, detail, STEPS):
            self.over()

    def over(self) -> None:
        """End."""
        self._mad = False
        self.struck.flag.unlink(missing_ok=True)


@dataclass(frozen=True)
class Refused:
    """What became of a mad member's nonsense.

    Attributes:
        said: how much there was.
        refused: how much of it was answered with a refusal, or noted as no message of the market.
        passed: what was not, in words.
    """

    said: int
    refused: int
    passed: list[str]


def refused_of(logs_dir: Path, member: str) -> Refused:
    """Hold a mad member's nonsense against the refusals in everybody's logs.

    Args:
        logs_dir: all agents' logs.
        member: who was mad.

    Raises:
        LogError: a log is damaged.
    """
    said: list[tuple[str, str, str]] = []
    refused: set[tuple[str, str]] = set()
    unreadable: dict[str, int] = {}
    for path in log_paths(logs_dir):
        for record in read_log(path, check_hashes=False):
            envelope, data = record.envelope, record.data or {}
            if envelope is not None:
                if (
                    record.kind is RecordKind.OUT
                    and envelope.performative in _REFUSALS
                    and envelope.recipient.partition("@")[0] == member
                    and envelope.in_reply_to is not None
                ):
                    refused.add((envelope.sender, envelope.in_reply_to))
            elif record.name == NONSENSE and path.stem == member:
                said += [(each[0], each[1], each[2]) for each in data["said"]]
            elif record.name == MALFORMED and str(data["sender"]).partition("@")[0] == member:
                agent = path.stem
                unreadable[agent] = unreadable.get(agent, 0) + 1
    passed, counted = [], 0
    for message_id, recipient, what in said:
        name = recipient.partition("@")[0]
        if message_id:
            good = (recipient, message_id) in refused
        else:
            good = unreadable.get(name, 0) > 0
            unreadable[name] = unreadable.get(name, 0) - 1
        counted += good
        if not good:
            passed.append(f"{name} did not refuse {json.dumps(message_id or 'a stanza')}: {what}")
    return Refused(len(said), counted, passed)
