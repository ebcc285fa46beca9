"""The terminal program: a run's members, series, messages and alarms, kept up to date; it only reads."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from runtime.errors import InputError, LogError
from runtime.inspection.follower import LOOK_S, RunFollower
from runtime.inspection.history import MessageHistory
from runtime.inspection.terminal.filter_words import KEYS, filter_of
from runtime.inspection.terminal.frame import (
    LEFT_ALIGNED,
    MEMBER_COLUMNS,
    alarm_line,
    count_line,
    member_rows,
    message_line,
    series_lines,
    title_line,
)
from runtime.messagelog.filters import MessageFilter

MOST_MESSAGES = 200
"""So many of the newest messages are listed."""

SHOWN_AGAIN_S = 1.0
"""What depends on the clock alone, as silence, is shown anew after so long [s]."""

SEARCH_BUDGET_S = 0.5
"""Time that a search for messages may take before what was found is shown [s]."""

EVERYBODY = "everybody"
_REFUSALS = frozenset({"refuse", "failure", "not-understood"})


HELP = f"""\
up, down  choose a member: its messages and battery; first row: everybody
tab       to the messages, to scroll them, and back
/         filter messages: text, or {"=, ".join(KEYS[:3])}=,
          {"=, ".join(KEYS[3:])}=, as: type=position round=3
a         alarms instead of messages
p, n      the session before, the session after
q         quit

batt      state of charge; members tell it when the run has ended
owes      in the session; in all: since the run began
metered   slots with a whole reading in time, of all delivered

any key   back"""
"""What the keys do, at most 76 wide."""


class HelpScreen(ModalScreen[None]):
    """What the keys do, over everything else."""

    CSS = """
    HelpScreen { align: center middle; }
    HelpScreen Static { width: auto; height: auto; border: round $primary; background: $surface; }
    """

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        yield Static(HELP, markup=False)

    def on_key(self, event: Key) -> None:
        """Leave with any key."""
        event.stop()
        self.dismiss()


class RunScreen(App[None]):
    """A run on a terminal.

    Attributes:
        follower: what is shown.
        chosen: the member whose messages and battery are shown; None for everybody.
    """

    CSS = """
    Screen { layout: vertical; }
    #title { height: 1; text-wrap: nowrap; background: $primary; text-style: bold; padding: 0 1; }
    #counts { height: 1; text-wrap: nowrap; text-overflow: ellipsis; padding: 0 1; }
    #members { height: auto; max-height: 40%; min-height: 5; }
    #series { height: auto; max-height: 7; padding: 0 1; color: $success; text-wrap: nowrap; }
    #what { height: 1; padding: 0 1; background: $boost; text-style: bold; }
    #stream { height: 1fr; padding: 0 1; }
    #lines { text-wrap: nowrap; text-overflow: ellipsis; }
    #filter { height: 3; display: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "ask_filter", "Filter", key_display="/"),
        Binding("a", "alarms", "Alarms"),
        Binding("p", "session(-1)", "Earlier"),
        Binding("n", "session(1)", "Later"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "leave", "Back", show=False),
    ]

    def __init__(self, follower: RunFollower, words: str = "") -> None:
        """Show what ``follower`` knows.

        Args:
            follower: of the run; nobody else lets it look.
            words: filter of the messages, as a person types it.

        Raises:
            InputError: the filter cannot be read.
        """
        super().__init__()
        self.title = follower.directory.path.resolve().name
        self.follower = follower
        self.chosen: str | None = None
        self._history = MessageHistory(follower.logs_dir)
        self._criteria = filter_of(words)
        self._words = words.strip()
        self._session: int | None = None
        self._shows_alarms = False
        self._state: dict[str, Any] | None = None
        self._rows: list[dict[str, Any]] = []
        self._asked = asyncio.Event()

    def compose(self) -> ComposeResult:
        """Lay out title, members, series, messages and keys."""
        yield Static(id="title", markup=False)
        yield Static(id="counts", markup=False)
        members: DataTable[Text] = DataTable(id="members", cursor_type="row", cell_padding=1)
        yield members
        yield Static(id="series", markup=False)
        yield Static(id="what", markup=False)
        with VerticalScroll(id="stream"):
            yield Static(id="lines", markup=False)
        yield Input(id="filter", placeholder=f"text, or {'=, '.join(KEYS)}=")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin following."""
        members = self.query_one("#members", DataTable)
        for name in MEMBER_COLUMNS:
            members.add_column(name, key=name)
        members.focus()
        self.run_worker(self._follow(), exclusive=True)

    def on_unmount(self) -> None:
        """End what was begun."""
        self._history.close()

    # -- following -------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        shown: tuple[object, ...] | None = None
        shown_s = 0.0
        while True:
            more = await asyncio.to_thread(self.follower.look)
            now = (self.follower.state.version, self.follower.finished, self.follower.problem)
            asked = self._asked.is_set()
            if now != shown or asked or time.monotonic() - shown_s > SHOWN_AGAIN_S:
                self._asked.clear()
                await self._take_in(search=now != shown or asked)
                shown, shown_s = now, time.monotonic()
            if not more:
                try:
                    await asyncio.wait_for(self._asked.wait(), LOOK_S)
                except TimeoutError:
                    continue

    async def _take_in(self, *, search: bool) -> None:
        self._state = await asyncio.to_thread(self.follower.snapshot, self._session)
        if search:
            try:
                page = await asyncio.to_thread(
                    self._history.page,
                    self._asked_for(),
                    limit=MOST_MESSAGES,
                    budget_s=SEARCH_BUDGET_S,
                )
                self._rows = page.rows
            except (OSError, LogError) as error:
                self.notify(f"logs cannot be read: {error}", severity="error")
        self._show()

    def _asked_for(self) -> MessageFilter:
        if self.chosen is None or self._criteria.agent is not None:
            return self._criteria
        return filter_of(f"{self._words} agent={self.chosen}")

    # -- showing ---------------------------------------------------------------------------------------

    def _show(self) -> None:
        state = self._state
        if state is None:
            return
        self._part("title").update(title_line(self.title or "", state))
        alarming = "bold red" if state["alarm_count"] else ""
        self._part("counts").update(Text(count_line(state), style=alarming))
        self._show_members(state)
        series = "\n".join(series_lines(state, self.size.width - 2, self.chosen))
        self._part("series").update(series or "no session yet")
        self._show_stream(state)

    def _part(self, name: str) -> Static:
        """A part of the run's screen, also while help lies over it."""
        return self.screen_stack[0].query_one(f"#{name}", Static)

    def _show_members(self, state: dict[str, Any]) -> None:
        members = self.screen_stack[0].query_one("#members", DataTable)
        known = {str(key.value) for key in members.rows}
        everybody = (EVERYBODY, state["phase"], *[""] * (len(MEMBER_COLUMNS) - 2))
        silent = {member["name"] for member in state["members"] if member["silent"]}
        for cells in (everybody, *member_rows(state)):
            name = cells[0]
            texts = [
                Text(
                    cell,
                    style="bold red" if name in silent else "",
                    justify="left" if column in LEFT_ALIGNED else "right",
                )
                for column, cell in zip(MEMBER_COLUMNS, cells, strict=True)
            ]
            if name not in known:
                members.add_row(*texts, key=name)
                continue
            for column, text in zip(MEMBER_COLUMNS, texts, strict=True):
                if members.get_cell(name, column) != text:
                    members.update_cell(name, column, text, update_width=True)

    def _show_stream(self, state: dict[str, Any]) -> None:
        if self._shows_alarms:
            what = f"alarms: {state['alarm_count']}"
            texts = [Text(alarm_line(alarm), style="red") for alarm in state["alarms"]]
        else:
            about = " ".join(part for part in (self.chosen or "", self._words) if part)
            what = f"messages, newest first{': ' + about if about else ''}"
            texts = [
                Text(message_line(row), style="red" if row["performative"] in _REFUSALS else "")
                for row in self._rows
            ]
        self._part("what").update(what)
        nothing = Text("none")
        self._part("lines").update(Text("\n").join(texts or [nothing]))

    # -- what is asked ---------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another member is chosen."""
        name = str(event.row_key.value)
        self.chosen = None if name == EVERYBODY else name
        self._asked.set()

    def on_resize(self) -> None:
        """Fit the series into the new width."""
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take a filter; one that cannot be read is said and stays to be mended."""
        try:
            self._criteria = filter_of(event.value)
        except InputError as error:
            self.notify(str(error), severity="error")
            return
        self._words = event.value.strip()
        self._shows_alarms = False
        self.action_leave()
        self._asked.set()

    def action_ask_filter(self) -> None:
        """Show the line for a filter."""
        line = self.query_one("#filter", Input)
        line.display = True
        line.focus()

    def action_leave(self) -> None:
        """Go back to the members; the filter in force stays."""
        line = self.query_one("#filter", Input)
        line.display = False
        line.value = self._words
        self.query_one("#members", DataTable).focus()

    def action_alarms(self) -> None:
        """Show alarms instead of messages, or messages again."""
        self._shows_alarms = not self._shows_alarms
        self._show()

    def action_session(self, step: int) -> None:
        """Show the session before or after; beyond the last one, whichever runs."""
        if self._state is None or self._state["shown"] is None:
            return
        number = self._state["shown"]["number"] + step
        if number >= 0:
            self._session = None if number >= self._state["session"] else number
            self._asked.set()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(HelpScreen())
