"""The dashboard's server: a page, a run's state, its messages; read-only, loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from runtime.errors import InputError, LogError, PeerwattError
from runtime.inspection.batteries import states_of_charge
from runtime.inspection.history import newest
from runtime.inspection.state import RunState
from runtime.inspection.tail import LogTail
from runtime.messagelog.filters import MessageFilter
from runtime.pages.render import render_page
from runtime.rundir import RunDirectory

LOOK_S = 0.2
"""Time between two looks into the logs [s]."""
LOOK_BUDGET_S = 0.25
"""Time that one look may take before requests are answered again [s]."""
HEARTBEAT_S = 15.0
MOST_ROWS = 500
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_PAGE = Path(__file__).parent / "dashboard.html.template"
_COOKIE = "peerwatt_token"


class Dashboard:
    """Follows a run's logs and answers for them over HTTP.

    Attributes:
        app: the web application.
        state: what the logs say so far.
    """

    def __init__(self, run: Path, logs_dir: Path, *, token: str | None = None) -> None:
        """Serve a run; nothing is read before the application starts.

        Args:
            run: the run's directory.
            logs_dir: its folder of logs.
            token: what every request must show; None for none.
        """
        self._directory = RunDirectory(run)
        self._logs_dir = logs_dir
        self._token = token
        configs = self._directory.config_dir / "members"
        self.state = RunState(sorted(path.stem for path in configs.glob("*.json")))
        self._tail = LogTail(logs_dir)
        self._problem: str | None = None
        self._changed = asyncio.Condition()
        self._folding = asyncio.Lock()
        self._batteries: dict[str, dict[str, list[float]]] | None = None
        self.app = web.Application(middlewares=[self._guard])
        self.app.add_routes(
            [
                web.get("/", self._page),
                web.get("/state", self._state),
                web.get("/messages", self._messages),
                web.get("/events", self._events),
            ]
        )
        self.app.cleanup_ctx.append(self._following)

    @property
    def finished(self) -> bool:
        """Whether the run has ended: the coordinator has left its record."""
        return self._directory.coordinator_record.is_file()

    # -- following -------------------------------------------------------------------------------------

    async def _following(self, app: web.Application) -> Any:  # noqa: ANN401 - aiohttp's generator
        following = asyncio.create_task(self._follow())
        yield
        following.cancel()

    async def _follow(self) -> None:
        told: tuple[int, bool, str | None] | None = None
        while True:
            async with self._folding:
                more = await asyncio.to_thread(self._look)
            now = (self.state.version, self.finished, self._problem)
            if now != told:
                told = now
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(0.01 if more else LOOK_S)

    def _look(self) -> bool:
        """Fold what is new; True if there is more to be read at once."""
        try:
            for at, agent, line in self._tail.look(LOOK_BUDGET_S):
                self.state.feed(at, agent, line)
        except (LogError, OSError) as error:
            self._problem = str(error)
            return False
        return self._tail.read_share < 1.0

    # -- answering -------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if self._token is None:
            # A page elsewhere whose name was made to point here must not read what is here.
            if (request.url.host or "") not in LOOPBACK_HOSTS:
                raise web.HTTPForbidden(text="this dashboard answers on this machine only")
        else:
            shown = request.query.get("token") or request.cookies.get(_COOKIE, "")
            if not hmac.compare_digest(shown.encode(), self._token.encode()):
                raise web.HTTPForbidden(text="the token in the address is missing or wrong")
        response = await handler(request)
        if self._token is not None and "token" in request.query and not response.prepared:
            response.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
        return response

    async def _page(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        page = render_page(_PAGE, run=self._directory.path.resolve().name, nonce=nonce)
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
        return web.Response(text=page, content_type="text/html", headers=headers | _NOT_KEPT)

    async def _state(self, request: web.Request) -> web.Response:
        session = _number(request, "session")
        async with self._folding:
            state = self.state.as_json(session, finished=self.finished)
        shown = state["shown"]
        state["soc"] = await self._soc(shown["number"]) if shown is not None else {}
        state |= {"finished": self.finished, "read_share": self._tail.read_share, "problem": self._problem}
        return web.json_response(state, headers=_NOT_KEPT)

    async def _soc(self, session: int) -> dict[str, list[float]]:
        """States of charge from the members' own records, which they write when the run ends."""
        if not self.finished:
            return {}
        known = self._batteries
        if known is None:
            try:
                known = await asyncio.to_thread(states_of_charge, self._directory)
            except InputError as error:
                known, self._problem = {}, str(error)
            self._batteries = known
        return known.get(str(session), {})

    async def _messages(self, request: web.Request) -> web.Response:
        query = request.query
        criteria = MessageFilter(
            agent=query.get("agent") or None,
            performative=query.get("performative") or None,
            body_type=query.get("type") or None,
            session=query.get("session") or None,
            round=_number(request, "round"),
            slot=_number(request, "slot"),
            text=query.get("text") or None,
        )
        limit = min(_number(request, "limit") or 100, MOST_ROWS)
        try:
            page = await asyncio.to_thread(
                newest,
                self._logs_dir,
                criteria,
                limit=limit,
                after=query.get("after", ""),
                before=query.get("before", ""),
            )
        except OSError as error:
            raise web.HTTPInternalServerError(text=f"logs cannot be read: {error.strerror}") from error
        answer = {"rows": page.rows, "complete": page.complete, "reached": page.reached}
        return web.json_response(answer, headers=_NOT_KEPT)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: one whenever something has changed."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"} | _NOT_KEPT)
        await response.prepare(request)
        try:
            while True:
                news = {"version": self.state.version, "finished": self.finished}
                await response.write(f"data: {json.dumps(news)}\n\n".encode())
                try:
                    async with asyncio.timeout(HEARTBEAT_S), self._changed:
                        await self._changed.wait()
                except TimeoutError:
                    continue
        except (ConnectionError, asyncio.CancelledError):
            return response


_NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name, "")
    if not text:
        return None
    if not text.isdecimal():
        raise web.HTTPBadRequest(text=f"{name}: found {text!r}, expected a number")
    return int(text)


async def serve(dashboard: Dashboard, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until cancelled.

    Args:
        dashboard: what to serve.
        host: address to listen on.
        port: TCP port; 0 for any that is free.
        ready: told the port once it is open.

    Raises:
        PeerwattError: the port cannot be opened.
    """
    runner = web.AppRunner(dashboard.app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PeerwattError(f"{host}:{port}: cannot be opened: {error.strerror}") from error
        ready(int(runner.addresses[0][1]))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
