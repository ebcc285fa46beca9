"""The supervisor with processes that are played: it misses no end, whenever it comes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.errors import FleetError
from runtime.fleet import supervisor
from runtime.fleet.supervisor import RESTARTS, RESTARTS_WITHIN_S, Fleet
from runtime.rundir import RunDirectory
from tests.machines.communities import Community


class PlayedChild:
    """A process of the fleet, as far as the supervisor can tell. Its end makes its pipe ready."""

    def __init__(self, name: str, lives: list[tuple[int | None, list[str]]]) -> None:
        self.name = name
        self.pid = 1
        self.lives = lives
        self.starts = 0
        self.code: int | None = None
        self.to_tell: list[str] = []
        self._end, self._other = multiprocessing.Pipe(duplex=False)
        self.waitables: list[Any] = [self._end]

    def start(self) -> None:
        code, self.to_tell = self.lives[min(self.starts, len(self.lives) - 1)]
        self.starts += 1
        self.code = None
        if code is not None:
            self.end(code)

    def end(self, code: int) -> None:
        self.code = code
        self._other.send(code)

    def news(self) -> list[tuple[str, str, dict[str, Any]]]:
        told, self.to_tell = self.to_tell, []
        return [("", phase, {"reason": "of its own"}) for phase in told]

    def exit_code(self) -> int | None:
        return self.code

    def ended(self) -> dict[str, int]:
        return {} if self.code is None else {self.name: self.code}

    def last_words(self) -> str:
        return f"{self.name} said this last"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    directory = RunDirectory(tmp_path)
    Community(1, members=2).coordinator_config.save(directory.coordinator_config)
    return Fleet(directory, lambda *_: None)


def staff(fleet: Fleet, **lives: list[tuple[int | None, list[str]]]) -> dict[str, PlayedChild]:
    """Put played processes into the fleet; those without given lives finish well."""
    names = ["server", "coordinator", "meters", "m0", "m1"]
    stays: list[tuple[int | None, list[str]]] = [(None, [])]
    children = {
        name: PlayedChild(name, lives.get(name, stays if name == "server" else [(0, ["finished"])]))
        for name in names
    }
    fleet.server, fleet.coordinator, fleet.meters = (children[name] for name in names[:3])  # type: ignore[assignment]
    fleet.prosumers = [children["m0"], children["m1"]]  # type: ignore[list-item]
    for child in children.values():
        child.start()
    return children


def step_within_a_second(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the supervisor's waiting fail where it would last for ever."""
    wait = multiprocessing.connection.wait

    def bounded(waitables: list[Any], timeout_s: float | None) -> list[Any]:
        ready = wait(waitables, 1.0 if timeout_s is None else timeout_s)
        assert ready or timeout_s is not None, "waits for something that has happened already"
        return ready

    monkeypatch.setattr("runtime.fleet.supervisor.pipes.wait", bounded)


def test_ends_that_came_before_the_first_look_are_noticed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff(fleet)
    step_within_a_second(fleet, monkeypatch)
    fleet._watch()
    assert not fleet.restarts


@pytest.mark.parametrize("late", ["coordinator", "m0", "m1"])
def test_an_end_between_two_looks_is_noticed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    children = staff(fleet, **{late: [(None, ["finished"])]})
    step_within_a_second(fleet, monkeypatch)
    looked_at = children["m0" if late == "coordinator" else "coordinator"]
    look = looked_at.exit_code

    def look_and_let_the_other_end() -> int | None:
        if children[late].code is None:
            children[late].end(0)
        return look()

    monkeypatch.setattr(looked_at, "exit_code", look_and_let_the_other_end)
    fleet._watch()
    assert not fleet.restarts


@pytest.mark.parametrize("code", [-9, 1, 0])
@pytest.mark.parametrize("name", ["coordinator", "meters", "m1"])
def test_a_process_that_ends_without_having_finished_is_started_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    children = staff(fleet, **{name: [(code, []), (code, []), (0, ["finished"])]})
    step_within_a_second(fleet, monkeypatch)
    fleet._watch()
    assert fleet.restarts == ({name: 2} if name != "meters" else fleet.restarts)
    assert children[name].starts == 3 or name == "meters"


def test_one_that_crashes_on_and_on_ends_the_run_with_its_last_words(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = staff(fleet, m0=[(-9, [])])
    step_within_a_second(fleet, monkeypatch)
    with pytest.raises(FleetError, match="m0 was killed by signal 9 after 3 restarts: m0 said this last"):
        fleet._watch()
    assert children["m0"].starts == 1 + RESTARTS


class PlayedNodes(PlayedChild):
    """A server of several nodes; each time it is started it ends with those that crash then."""

    def __init__(self, crashes: list[list[int]]) -> None:
        super().__init__("server", [(-9, [])] * len(crashes) + [(None, [])])
        self.crashes = crashes
        self.carries_on = False
        self.awaited = 0
        self.crashes_awaited = 0

    def ended(self) -> dict[str, int]:
        crashed = self.crashes[self.starts - 1] if self.starts <= len(self.crashes) else []
        return {f"server {number}": -9 for number in crashed}

    def await_ready(self) -> None:
        self.awaited += 1
        if self.awaited <= self.crashes_awaited:
            raise FleetError("it did not start")


def with_nodes(fleet: Fleet, crashes: list[list[int]]) -> PlayedNodes:
    """Staff the fleet with a server of such nodes; its coordinator stays until the last of them is over."""
    children = staff(fleet, coordinator=[(None, ["finished"])])
    fleet.server = server = PlayedNodes(crashes)  # type: ignore[assignment]
    start = server.start

    def start_and_let_the_coordinator_end() -> None:
        start()
        if server.starts > len(crashes):
            children["coordinator"].end(0)

    server.start = start_and_let_the_coordinator_end  # type: ignore[method-assign]
    server.start()
    return server


def test_restarts_of_a_servers_nodes_are_counted_for_each(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_within_a_second(fleet, monkeypatch)
    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        fleet, "_on_news", lambda name, phase, more: told.append((name, more.get("restarts")))
    )
    crashes = [[1], [2], [1, 2], [2], [1]]
    with_nodes(fleet, crashes)
    fleet._watch()
    assert fleet.restarts == {"server 1": RESTARTS, "server 2": RESTARTS}
    assert [each for each in told if each[0].startswith("server")] == [
        *(
            ("server 1", 1),
            ("server 2", 1),
            ("server 1", 2),
            ("server 2", 2),
            ("server 2", 3),
            ("server 1", 3),
        )
    ]


def test_crashes_of_long_ago_are_forgiven(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may last for months; each of these crashes comes a third of the time after the one before."""
    step_within_a_second(fleet, monkeypatch)
    now_s = [0.0]
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    server = with_nodes(fleet, [[1]] * 8)
    start = server.start

    def start_a_while_later() -> None:
        start()
        now_s[0] += RESTARTS_WITHIN_S / RESTARTS

    server.start = start_a_while_later  # type: ignore[method-assign]
    fleet._watch()
    assert fleet.restarts == {"server 1": 8}


def test_a_node_that_crashes_on_and_on_ends_the_run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    step_within_a_second(fleet, monkeypatch)
    with_nodes(fleet, [[2]] * RESTARTS + [[1], [2]])
    with pytest.raises(FleetError, match="server 2 was killed by signal 9 after 3 restarts"):
        fleet._watch()


@pytest.mark.parametrize("carries_on", [True, False])
def test_a_server_of_which_a_part_carries_on_is_not_waited_for(
    carries_on: bool, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others that crash at the same time are seen to at once."""
    step_within_a_second(fleet, monkeypatch)
    server = with_nodes(fleet, [[2], [2]])
    server.carries_on = carries_on
    fleet._watch()
    assert fleet.restarts == {"server 2": 2}
    assert server.awaited == (0 if carries_on else 2)


def test_a_server_that_crashes_while_it_starts_again_is_started_once_more(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_within_a_second(fleet, monkeypatch)
    server = with_nodes(fleet, [[1], [1, 2]])
    server.crashes_awaited = 1
    fleet._watch()
    assert fleet.restarts == {"server 1": 2, "server 2": 1}
    assert server.awaited == 2


def test_a_server_that_is_not_ready_in_time_though_it_runs_ends_the_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_within_a_second(fleet, monkeypatch)
    server = with_nodes(fleet, [[1]])
    server.crashes_awaited = 1
    with pytest.raises(FleetError, match="it did not start"):
        fleet._watch()


def test_one_that_gives_up_is_not_started_again(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    children = staff(fleet, m0=[(2, ["failed"])])
    step_within_a_second(fleet, monkeypatch)
    with pytest.raises(FleetError, match="m0 gave up: of its own"):
        fleet._watch()
    assert children["m0"].starts == 1


def test_a_member_that_never_finishes_is_named_and_not_waited_for_once_the_market_has_closed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(fleet, "_on_news", lambda name, phase, _: told.append((name, phase)))
    monkeypatch.setattr("runtime.fleet.supervisor.MEMBERS_LEAVE_LIMIT_S", 0.2)
    children = staff(fleet, m1=[(None, [])])
    step_within_a_second(fleet, monkeypatch)
    fleet._watch()
    assert ("m1", "left-behind") in told
    assert children["m1"].starts == 1
