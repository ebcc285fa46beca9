"""Computes the indicators of a finished run from what it left behind, and writes ``indicators.json``.

Costs of profiles are measurements in floating point; bills are summed in exact decimals and only then
written as numbers. The exact money is in the ledger and the bills.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coordinator.indicators.chains import as_one, chains_of
from coordinator.indicators.community import community_values
from coordinator.indicators.definitions import DEFINITIONS, Definition
from coordinator.indicators.member import Values, member_values
from coordinator.indicators.parts import PART_DEFINITIONS, part_values
from coordinator.indicators.reference import Reference, reference_optimum
from coordinator.indicators.stretch import Stretch, joined, joined_reference, stretch_of
from coordinator.indicators.traffic import Traffic, traffic_of
from coordinator.two_communities.books import write_joined
from runtime.files import write_text_atomically
from runtime.records import CoordinatorRecord, MemberRecord, SessionRecord
from runtime.results.reading import read_records
from runtime.rundir import RunDirectory

OPTIMA_SECONDS = 10.0
OPTIMA_SECONDS_PER_SESSION = 0.25
MOST_OPTIMA_SECONDS = 80.0
"""Time for the coordinated optima of all sessions [s]; most take a few hundredths of a second each, but where
feed-in is above the price, or prices are negative, the last bit can take for ever."""


def indicators(
    coordinator: CoordinatorRecord,
    members: Mapping[str, MemberRecord],
    traffic: Mapping[int, Traffic] | None = None,
) -> dict[str, Any]:
    """Compute all indicators of a run.

    Args:
        coordinator: the coordinator's record.
        members: the members' own records by name; a member without one has ``None`` where its load,
            production or baseline is needed, and so have the community's sums.
        traffic: what was said, by session; without it, what is counted in messages is ``None``.

    Returns:
        JSON-ready: ``definitions`` (per indicator its unit, explanation, source, and which is better),
        ``run`` and ``sessions``; the run and each session have ``community`` (indicator to value) and
        ``members`` (member to indicator to value), and where members are in two communities,
        ``communities`` (name to indicator to value).

    Raises:
        InputError: the records contradict each other: a slot without a member's delivery, or arrays that
            do not cover the horizon.
    """
    names = coordinator.members
    references, of_run = _references(coordinator, members)
    stretches = [
        stretch_of(
            names,
            session,
            members,
            reference,
            None if traffic is None else traffic.get(session.session, Traffic()),
        )
        for session, reference in zip(coordinator.sessions, references, strict=True)
    ]
    sessions = [
        {
            "session": session.session,
            "start": session.horizon.local(0).isoformat(),
            "end": session.horizon.local(session.horizon.slots).isoformat(),
            **_values(names, stretch),
        }
        for session, stretch in zip(coordinator.sessions, stretches, strict=True)
    ]
    for session, entry in zip(coordinator.sessions, sessions, strict=True):
        entry["community"]["agreed_round"] = session.agreed_round
    return {
        "community": coordinator.community,
        "setting": coordinator.setting,
        "mechanism": coordinator.mechanism,
        "members": list(names),
        "definitions": {name: definition._asdict() for name, definition in _definitions(coordinator).items()},
        "run": {
            **_values(names, replace(joined(names, stretches), reference=of_run)),
            **_communities(coordinator, coordinator.sessions, stretches, members),
        },
        "sessions": [
            {**entry, **_communities(coordinator, [session], [stretch], members)}
            for entry, session, stretch in zip(sessions, coordinator.sessions, stretches, strict=True)
        ],
    }


def write_indicators(run: Path) -> dict[str, Any]:
    """Compute the indicators of the run in directory ``run`` and write them to its ``indicators.json``.

    Returns:
        What ``indicators`` returns.

    Raises:
        InputError: records are missing, damaged or contradict each other.
        LogError: a message log cannot be read.
    """
    write_joined(RunDirectory(run))
    coordinator, members = read_records(run)
    result = indicators(coordinator, members, traffic_of(run, coordinator.members))
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomically(RunDirectory(run).indicators_json, text + "\n")
    return result


def _references(
    coordinator: CoordinatorRecord, members: Mapping[str, MemberRecord]
) -> tuple[list[Reference | None], Reference | None]:
    """The coordinated optimum of each session, and of the run; time that one leaves, later ones may use.

    Sessions that go on from each other have one together, which counts for the run alone.
    """
    chains = chains_of(coordinator)
    seconds = min(
        OPTIMA_SECONDS + OPTIMA_SECONDS_PER_SESSION * len(coordinator.sessions), MOST_OPTIMA_SECONDS
    )
    ends = time.monotonic() + seconds
    by_session: list[Reference | None] = []
    of_chains: list[Reference | None] = []
    for number, chain in enumerate(chains):
        share_s = (ends - time.monotonic()) / (len(chains) - number)
        session, records = as_one(chain, coordinator.members, members)
        found = reference_optimum(coordinator.members, session, records, share_s)
        of_chains.append(found)
        by_session += [found] if len(chain) == 1 else [None] * len(chain)
    return by_session, joined_reference(of_chains)


def _definitions(coordinator: CoordinatorRecord) -> dict[str, Definition]:
    two = any(session.communities for session in coordinator.sessions)
    return {**DEFINITIONS, **PART_DEFINITIONS} if two else DEFINITIONS


def _communities(
    coordinator: CoordinatorRecord,
    sessions: Sequence[SessionRecord],
    stretches: Sequence[Stretch],
    members: Mapping[str, MemberRecord],
) -> dict[str, Any]:
    """Under ``communities``, either of two by name, where members are in two."""
    found = part_values(coordinator, sessions, stretches, members)
    return {"communities": {name: _tidy(values) for name, values in found.items()}} if found else {}


def _values(names: Sequence[str], stretch: Stretch) -> dict[str, Any]:
    members = {name: member_values(name, stretch) for name in names}
    return {
        "community": _tidy(community_values(members, stretch)),
        "members": {name: _tidy(values) for name, values in members.items()},
    }


def _tidy(values: Values) -> Values:
    """Nine decimals: beyond them is the noise of floating-point sums; + 0.0 turns −0.0 into 0.0."""
    return {
        name: round(value, 9) + 0.0 if isinstance(value, float) else value for name, value in values.items()
    }
