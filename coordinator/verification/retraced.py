"""Prices and allocations made again: the market's machine fed with the coordinator's log.

The machine is given each position, delivery and deadline as the log has it, and works out prices, agreements,
bill lines and bills by the scenario's mechanism. Every message it would have sent must be the one in the log:
a coordinator that told other prices than its mechanism makes is found out, though its own log says so too.
"""

from __future__ import annotations

from pathlib import Path

from coordinator.session import MarketMachine, Phase
from coordinator.verification.findings import Findings
from runtime.bookkeeping import AgreedContract
from runtime.configuration import CoordinatorConfig
from runtime.messagelog.reader import read_log
from runtime.messaging.moment import jid_of
from runtime.messaging.retrace import Retraced, retrace
from runtime.records import CoordinatorRecord


def retrace_market(log: Path, config: CoordinatorConfig) -> Retraced:
    """Feed a new market machine the coordinator's log.

    Args:
        log: the coordinator's log.
        config: the published terms, with the mechanism and its parameters.

    Raises:
        InputError: the mechanism is not installed here.
        LogError: the log's chain is broken, or it cannot be read.
    """
    machine = market_machine(config, jid_of(log))
    return retrace(read_log(log, check_hashes=False), machine)


def market_machine(config: CoordinatorConfig, jid: str) -> MarketMachine:
    """The machine of a coordinator as it was when its log began.

    Raises:
        InputError: the mechanism is not installed here, or one of its parameters is not known.
    """
    return MarketMachine(config, jid, Path("coordinator.json"))


def add_divergences(findings: Findings, retraced: Retraced) -> None:
    """Add what the machine would not have said, where it was not found wrong already."""
    known = {text.partition(": ")[0] for text in findings.texts}
    for divergence in retraced.divergences:
        if divergence.subject not in known:
            findings.add(str(divergence))
    findings.more += retraced.more


def contracts_made(retraced: Retraced) -> dict[int, list[AgreedContract]]:
    """The contracts that the mechanism makes, by session; of the running session too, once it is agreed."""
    machine = retraced.machine
    if not isinstance(machine, MarketMachine):
        return {}
    made = {session.session: session.contracts for session in machine.closed}
    if machine.phase in (Phase.AGREEING, Phase.OPERATING):
        made[machine.session] = machine.operation.contracts
    return made


def retraced_record(retraced: Retraced) -> CoordinatorRecord | None:
    """What the coordinator's record should say; None as long as the run has not ended."""
    for record in reversed(retraced.saved):
        if isinstance(record, CoordinatorRecord):
            return record
    return None
