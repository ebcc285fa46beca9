"""The dashboard's server: a page, a run's state, its messages; read-only, loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from runtime.errors import InputError, LogError, PeerwattError
from runtime.inspection.access import Token
from runtime.inspection.follower import LOOK_S, RunFollower
from runtime.inspection.history import MessageHistory
from runtime.inspection.metrics import CONTENT_TYPE, exposition
from runtime.inspection.state import RunState
from runtime.messagelog.filters import MessageFilter
from runtime.pages.render import render_page

HEARTBEAT_S = 15.0
MOST_ROWS = 500
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_PAGE = Path(__file__).parent / "dashboard.html.template"
_COOKIE = "peerwatt_token"


class Dashboard:
    """Follows a run's logs and answers for them over HTTP.

    Attributes:
        app: the web application.
    """

    def __init__(self, run: Path, logs_dir: Path, *, token: Token | None = None) -> None:
        """Serve a run; nothing is read before the application starts.

        Args:
            run: the run's directory.
            logs_dir: its folder of logs.
            token: what every request must show; None for none.
        """
        self._token = token
        self._follower = RunFollower(run, logs_dir)
        self._history = MessageHistory(logs_dir)
        self._changed = asyncio.Condition()
        self._folding = asyncio.Lock()
        self.app = web.Application(middlewares=[self._guard])
        self.app.add_routes(
            [
                web.get("/", self._page),
                web.get("/state", self._state),
                web.get("/messages", self._messages),
                web.get("/events", self._events),
                web.get("/metrics", self._metrics),
            ]
        )
        self.app.cleanup_ctx.append(self._following)

    @property
    def state(self) -> RunState:
        """What the logs say so far."""
        return self._follower.state

    @property
    def problem(self) -> str | None:
        """Why the logs cannot be read, or None."""
        return self._follower.problem

    # -- following -------------------------------------------------------------------------------------

    async def _following(self, app: web.Application) -> Any:  # noqa: ANN401 - aiohttp's generator
        following = asyncio.create_task(self._follow())
        yield
        following.cancel()
        await asyncio.to_thread(self._history.close)

    async def _follow(self) -> None:
        told: tuple[object, ...] | None = None
        while True:
            async with self._folding:
                more = await asyncio.to_thread(self._follower.look)
            follower = self._follower
            now = (self.state.version, follower.finished, follower.stopped, follower.problem)
            if now != told:
                told = now
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(0.01 if more else LOOK_S)

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
            try:
                admitted = self._token.is_shown_by(_shown_by(request))
            except InputError as error:
                raise web.HTTPServiceUnavailable(text="the dashboard's token cannot be read") from error
            if not admitted:
                raise web.HTTPForbidden(text="the token in the address is missing, wrong or was changed")
        response = await handler(request)
        given = request.query.get("token")
        if self._token is not None and given and not response.prepared:
            response.set_cookie(_COOKIE, given, httponly=True, samesite="Strict")
        return response

    async def _page(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        page = render_page(_PAGE, run=self._follower.directory.path.resolve().name, nonce=nonce)
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
        return web.Response(text=page, content_type="text/html", headers=headers | _NOT_KEPT)

    async def _state(self, request: web.Request) -> web.Response:
        session = _number(request, "session")
        async with self._folding:
            state = await asyncio.to_thread(self._follower.snapshot, session)
        return web.json_response(state, headers=_NOT_KEPT)

    async def _metrics(self, request: web.Request) -> web.Response:
        """The run's counts for Prometheus."""
        async with self._folding:
            text = await asyncio.to_thread(exposition, self._follower)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE} | _NOT_KEPT)

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
                self._history.page,
                criteria,
                limit=limit,
                after=query.get("after", ""),
                before=query.get("before", ""),
            )
        except (OSError, LogError) as error:
            raise web.HTTPInternalServerError(text=f"logs cannot be read: {error}") from error
        answer = {"rows": page.rows, "complete": page.complete, "reached": page.reached}
        return web.json_response(answer, headers=_NOT_KEPT)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: one whenever something has changed; no more once the token was changed."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"} | _NOT_KEPT)
        await response.prepare(request)
        try:
            while self._token is None or self._token.is_shown_by(_shown_by(request)):
                news = {"version": self.state.version, "finished": self._follower.finished}
                await response.write(f"data: {json.dumps(news)}\n\n".encode())
                try:
                    async with asyncio.timeout(HEARTBEAT_S), self._changed:
                        await self._changed.wait()
                except TimeoutError:
                    continue
        except (ConnectionError, asyncio.CancelledError, InputError):
            pass
        return response


_NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _shown_by(request: web.Request) -> str:
    """The token that a request shows, in its address, by its cookie or as credentials."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    bearer = credentials if scheme.lower() == "bearer" else ""
    return request.query.get("token") or request.cookies.get(_COOKIE) or bearer


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
