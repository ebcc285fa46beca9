"""``runtime.drills.mad SETTINGS MODULE ARGUMENTS``: runs ``MODULE ARGUMENTS`` with one member that is mad.

Only a drill starts this: an agent's own program knows nothing of it. While its flag is there, the member
spoils every second answer of its own and gives the others as they are; beside each it says nonsense to its
coordinator, to the other one, to members and to their meters, at first by the hundred. Its machine takes no
part in that. What it says is in its log, as what any agent says, and the event ``nonsense`` names it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from runtime.drills.mad.nonsense import ANSWERS, NONSENSE, Nonsense, Surroundings, beside, body_type, spoilt
from runtime.messaging.carrier import MachineCarrier
from runtime.messaging.host import MachineAgent
from runtime.messaging.spade_message import stanza_text_of
from runtime.process import Watcher
from runtime.protocol.envelope import ONTOLOGY, Envelope

Sending = Callable[[MachineCarrier, list[Envelope]], None]


class Madness(BaseModel):
    """Who is mad, and among whom.

    Attributes:
        member: who is.
        others: the other members.
        coordinators: of its community, or of both.
        flag: file that is there while it is mad.
        flood: so many times it says at first all that it will say later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    member: str
    others: tuple[str, ...]
    coordinators: tuple[str, ...]
    flag: Path
    flood: int = Field(default=5, ge=1)


class Mind:
    """What a mad member does as it goes on."""

    def __init__(self, settings: Madness, send: Sending) -> None:
        """Prepare; ``send`` sends as a sane one does."""
        self._settings = settings
        self._send = send
        self._around = Surroundings(settings.others, settings.coordinators)
        self._ids = count(1)
        self._turn = 0

    def say(self, agent: MachineAgent, envelopes: list[Envelope]) -> None:
        """Send what the machine wants sent, and more."""
        for envelope in envelopes:
            if body_type(envelope) in ANSWERS and self._settings.flag.exists():
                self._answer(agent, envelope)
            else:
                self._send(agent, [envelope])

    def _answer(self, agent: MachineAgent, answer: Envelope) -> None:
        is_spoilt = self._turn % 2 == 0
        said: list[Nonsense] = []
        if is_spoilt:
            said.append(spoilt(answer, self._turn))
            self._send(agent, [said[0].envelope])
        else:
            self._send(agent, [answer])
        times = self._settings.flood if self._turn == 0 else 1
        more = [
            each
            for _ in range(times)
            for each in beside(answer, self._around, self._next_id, answered=not is_spoilt)
        ]
        envelopes = [each.envelope for each in more]
        agent._log.append_sent(envelopes)
        for envelope in envelopes:
            agent.transmit(envelope)
        said += more
        listed = [[each.envelope.message_id, each.envelope.recipient, each.what] for each in said]
        listed += [["", answer.recipient, what] for what in self._unreadable(agent, answer)]
        agent._log.append_event(NONSENSE, {"said": listed})
        self._turn += 1

    def _unreadable(self, agent: MachineAgent, answer: Envelope) -> list[str]:
        """Send stanzas that are no message of the market at all; what they were."""
        text = stanza_text_of(answer, self._next_id())
        shouting = f"<value>{answer.performative}</value>", "<value>shout</value>"
        broken = {
            "another ontology": text.replace(ONTOLOGY, "mine/7"),
            "a performative that there is not": text.replace(*shouting),
            "no message id": text.replace('"reply-with"', '"reply-without"'),
            "no form": f'<message to="{answer.recipient}" type="chat"><body>hello</body></message>',
        }
        if agent.client is None or not agent.client.usable:
            return []
        for each in broken.values():
            agent.client.send_raw(each)
        return [*broken]

    def _next_id(self) -> str:
        return f"mad-{next(self._ids)}"


def make_mad(settings: Madness) -> None:
    """Have the member's agent in this process speak so from now on."""
    send = MachineCarrier._send
    mind = Mind(settings, send)

    def send_madly(agent: MachineCarrier, envelopes: list[Envelope]) -> None:
        if isinstance(agent, MachineAgent) and agent.local_part == settings.member:
            mind.say(agent, envelopes)
        else:
            send(agent, envelopes)

    setattr(MachineCarrier, "_send", send_madly)  # noqa: B010 - a method, by a function


def main(arguments: list[str], watcher: Watcher) -> int:
    """Run an agent's program with a member that is mad; its exit code."""
    settings, module, *rest = arguments
    make_mad(Madness.model_validate_json(settings))
    code: int = import_module(f"{module}.__main__").main(rest, watcher)
    return code
