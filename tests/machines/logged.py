"""A community in memory that leaves a run's directory behind: logs, configuration, records, tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import ProtocolError
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import NOTE_DUPLICATE, NOTE_RESENT, RecordKind, encode_event, encode_message
from runtime.messagelog.writer import MessageLog
from runtime.protocol.bodies import parse_body
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.exchange import Verdict
from runtime.protocol.machine import Effect, Send
from runtime.results.database import write_database
from runtime.results.tables import tables, write_tables
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.network import Network, Node

NO_INDICATORS: dict[str, Any] = {
    "definitions": {},
    "run": {"community": {}, "members": {}},
    "sessions": [],
}


@dataclass
class LoggedNetwork(Network):
    """Writes what a host writes; messages to who has left get there all the same, as a server's would."""

    directory: RunDirectory = field(default_factory=lambda: RunDirectory(Path()))
    logs: dict[str, MessageLog] = field(default_factory=dict)

    def log(self, jid: str) -> MessageLog:
        name = jid.partition("@")[0]
        if name not in self.logs:
            self.logs[name] = MessageLog.open(self.directory.log(name), name)
            self.logs[name].append_event("started", {})
        return self.logs[name]

    def _timer(self, node: Node, name: str) -> list[Effect]:
        self.log(node.machine.jid).append_event("timer", {"name": name})
        return super()._timer(node, name)

    def _computed(self, node: Node, name: str, result: Any) -> list[Effect]:
        self.log(node.machine.jid).append_event("computed", {"name": name})
        return super()._computed(node, name, result)

    def _post(self, envelope: Envelope) -> None:
        if any(envelope is sent for sent in self.sent[:-1]) or envelope in self.sent[:-1]:
            self.log(envelope.sender).append_out(envelope, NOTE_RESENT)
        super()._post(envelope)

    def _perform(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.log(node.machine.jid).append_out(effect.envelope)
        super()._perform(node, effects)

    def _deliver(self, envelope: Envelope) -> None:
        node = self.nodes[envelope.recipient]
        if node.away:
            return
        verdict, cached = node.exchange.received(envelope)
        if verdict is not Verdict.NEW:
            note = NOTE_DUPLICATE if verdict is Verdict.DUPLICATE else "unasked reply"
            self.log(envelope.recipient).append_in(envelope, note)
            if cached is None and verdict is Verdict.DUPLICATE and envelope.expects_reply:
                cached = self._said_before(envelope)
            if cached is not None and (
                not cached.expects_reply or node.exchange.awaits_reply(cached.message_id)
            ):
                self._post(cached)
            return
        self.log(envelope.recipient).append_in(envelope)
        try:
            effects = node.machine.receive(envelope, parse_body(envelope.body))
        except ProtocolError as error:
            effects = node.machine.complain(envelope, Performative.REFUSE, str(error))
        self._perform(node, effects)

    def drain(self) -> None:
        """Deliver what is still under way."""
        while self.in_flight:
            self._deliver(self.in_flight.pop(0))


def leave_behind(community: Community, path: Path, **network: Any) -> RunDirectory:
    """Run a community and leave all that a finished run has for verification."""
    directory = RunDirectory(path)
    net = LoggedNetwork(directory=directory, **network)
    coordinator, members = community.run(net)
    net.drain()
    for log in net.logs.values():
        log.close()
    for folder in (directory.config_dir, directory.records_dir / "members"):
        folder.mkdir(parents=True, exist_ok=True)
    community.coordinator_config.save(directory.coordinator_config)
    coordinator.save(directory.coordinator_record)
    for name, record in members.items():
        record.save(directory.member_record(name))
    write_tables(path, tables(coordinator, members))
    write_database(directory.results_sqlite, tables(coordinator, members), NO_INDICATORS)
    return directory


Edit = Callable[[list[dict[str, Any]]], None]


def forge(log: Path, edit: Edit) -> None:
    """Change a log's records and write all its hashes anew, as who owns the log could."""
    name = log.stem
    records = [json.loads(line) for line in log.read_bytes().splitlines()]
    edit(records)
    lines, prev = [], "0" * 64
    for seq, fields in enumerate(records):
        if fields["kind"] == "event":
            line, prev = encode_event(seq, fields["at"], fields["name"], fields["data"], prev)
        else:
            envelope = Envelope(
                fields["from"], fields["to"], Performative(fields["performative"]), fields["protocol"],
                fields["conversation"], fields["id"], fields["body"], fields["re"], fields["expects_reply"],
                fields["by"], fields["ontology"],
            )  # fmt: skip
            kind = RecordKind(fields["kind"])
            line, prev = encode_message(seq, fields["at"], kind, envelope, fields.get("note"), prev)
        lines.append(line)
    log.write_bytes(b"".join(lines))
    assert next(record.agent for record in read_log(log)) == name


def body_of(fields: dict[str, Any]) -> dict[str, Any]:
    """The body of a record's message; empty for an event."""
    found: dict[str, Any] = json.loads(fields["body"]) if "body" in fields else {}
    return found


def forge_bodies(
    directory: RunDirectory, agents: list[str], change: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> int:
    """Change the same messages' bodies in several logs; how many records were changed."""
    changed = 0

    def edit(records: list[dict[str, Any]]) -> None:
        nonlocal changed
        for fields in records:
            body = body_of(fields)
            if body and change(fields, body):
                fields["body"] = json.dumps(body)
                changed += 1

    for agent in agents:
        forge(directory.log(agent), edit)
    return changed
