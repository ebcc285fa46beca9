"""A run's counts in Prometheus' text format, from its logs: agents carry nothing of this.

Names follow https://prometheus.io/docs/practices/naming: counters end in ``_total``,
durations are in seconds; energies stay in kWh, as everywhere here, and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from runtime.inspection.counts import METERED, RunCounts
from runtime.inspection.follower import RunFollower

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Media type of the exposition."""


def exposition(follower: RunFollower) -> bytes:
    """Write out what is known of a run; not while a look goes on."""
    registry = CollectorRegistry()
    registry.register(_Families(follower))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, follower: RunFollower) -> None:
        self._follower = follower

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the families are those collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families."""
        state = self._follower.snapshot()
        yield from counted(self._follower.counts)
        yield from standing(state, self._follower.directory.path.resolve().name)


def counted(counts: RunCounts) -> Iterator[Metric]:
    """Counters of messages, rounds, computations, reconnects and meters."""
    messages = CounterMetricFamily(
        "peerwatt_messages",
        "Messages in the agents' logs, repetitions left out.",
        labels=["agent", "performative", "direction"],
    )
    for labels, number in sorted(counts.messages.items()):
        messages.add_metric(labels, number)
    yield messages
    agents = {agent for agent, _, _ in counts.messages}
    for name, text, by_agent in (
        ("repeated_messages", "Messages sent once more because no answer came.", counts.repeated),
        ("duplicate_messages", "Messages that arrived once more.", counts.duplicates),
        ("reconnects", "Connections that were lost and came back.", counts.reconnects),
        ("restarts", "Processes that were started again and took up their log.", counts.restarts),
    ):
        # none is 0: what is not there before it first happens cannot be alerted on
        yield _by(f"peerwatt_{name}", text, "agent", dict.fromkeys(agents, 0) | by_agent)
    planning = SummaryMetricFamily(
        "peerwatt_planning_seconds",
        "Time that members' plans, and the coordinator's computations, took.",
        labels=["agent"],
    )
    longest = GaugeMetricFamily(
        "peerwatt_planning_longest_seconds", "The longest of these.", labels=["agent"]
    )
    for agent, seconds in sorted(counts.computed.items()):
        planning.add_metric([agent], seconds.count, seconds.total_s)
        longest.add_metric([agent], seconds.longest_s)
    yield planning
    yield longest
    for name, text, number in (
        ("rounds", "Rounds that coordinators opened.", counts.rounds),
        ("slots_settled", "Slots that were settled.", counts.slots_settled),
        ("sessions_closed", "Market sessions that were closed.", counts.sessions_closed),
        ("unreadable_records", "Lines of logs that are no record.", counts.unreadable),
    ):
        yield CounterMetricFamily(f"peerwatt_{name}", text, value=number)
    delivered = CounterMetricFamily(
        "peerwatt_slots_delivered", "Slots that members delivered, by quality.", labels=["member", "quality"]
    )
    gaps: Counter[str] = Counter()
    for (member, quality), number in sorted(counts.deliveries.items()):
        delivered.add_metric([member, quality], number)
        gaps[member] += number if quality != METERED else 0
    yield delivered
    yield _by("peerwatt_meter_gaps", "Slots delivered without a whole reading in time.", "member", gaps)


def standing(state: Mapping[str, Any], run: str) -> Iterator[Metric]:
    """Gauges of where the run stands.

    Args:
        state: as ``RunFollower.snapshot`` gives it.
        run: the run's name.
    """
    facts = {"run": run, "community": state["community"], "mechanism": state["mechanism"]}
    yield InfoMetricFamily("peerwatt_run", "Which run this is.", value=facts)
    yield GaugeMetricFamily("peerwatt_finished", "Whether the run has ended.", value=float(state["finished"]))
    for name, text in (
        ("session", "Market session, from 0."),
        ("round", "Round of the negotiation."),
        ("slot", "Slot that was settled or asked for last."),
    ):
        if state[name] is not None:
            yield GaugeMetricFamily(f"peerwatt_{name}", text, value=state[name])
    yield GaugeMetricFamily("peerwatt_members", "Members of the run.", value=len(state["members"]))
    silent = sum(member["silent"] for member in state["members"])
    yield GaugeMetricFamily("peerwatt_silent_members", "Members that owe an answer for long.", value=silent)
    yield CounterMetricFamily("peerwatt_alarms", "Alarms so far.", value=state["alarm_count"])
    shown = state["shown"]
    if shown is None:
        return
    for name, text, series in (
        ("traded", "Energy that neighbours bought from each other in the session.", "traded_kwh"),
        ("grid_import", "Members' energy from the grid in the session.", "import_kwh"),
        ("grid_export", "Members' energy to the grid in the session.", "export_kwh"),
    ):
        energy_kwh = sum(value or 0.0 for value in shown[series])
        yield GaugeMetricFamily(f"peerwatt_session_{name}_kwh", text, value=energy_kwh)
    if shown["costs_eur"]:
        cost_eur = shown["costs_eur"][-1]["cost"]
        text = "What the latest positions would cost at the grid's tariffs."
        yield GaugeMetricFamily("peerwatt_session_cost_eur", text, value=cost_eur)


def _by(name: str, text: str, label: str, numbers: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, number in sorted(numbers.items()):
        family.add_metric([key], number)
    return family
