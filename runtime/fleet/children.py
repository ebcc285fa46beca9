"""The processes of a fleet, one by one: how each is started, heard, and stopped."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, ClassVar, Protocol

from runtime.errors import FleetError
from runtime.fleet.entry import enter
from runtime.operations_log import last_complaint

SERVER_READY_LIMIT_S = 30.0

Told = tuple[str, str, dict[str, Any]]
"""Agent, phase and detail of a step that a process tells."""


class Child(Protocol):
    """One process of the fleet."""

    name: str

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""

    @property
    def waitables(self) -> list[Any]:
        """What ``multiprocessing.connection.wait`` can wait on: news, and the process's end."""

    def start(self) -> None:
        """Start the process, again if it has ended."""

    def news(self) -> list[Told]:
        """What the process has told since last asked."""

    def exit_code(self) -> int | None:
        """Exit code (negative: killed by that signal), None while it runs."""

    def ended(self) -> dict[str, int]:
        """Exit code by name, of what has ended of it: itself, or some of the processes that it is."""

    def terminate(self) -> None:
        """Ask the process to stop."""

    def kill(self) -> None:
        """Make the process stop."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; True if it has ended."""

    def last_words(self) -> str:
        """What it complained of last on standard error."""


class ForkServer:
    """The process from which agent processes are forked, with all they need loaded once."""

    def __init__(self) -> None:
        """Name what is loaded; ``start`` does it."""
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["runtime.fleet.preload"])

    def start(self) -> None:
        """Start the process; it loads while others do something else."""
        from multiprocessing import forkserver

        forkserver.ensure_running()


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep children from importing the program that started them, which they do not need."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@dataclass
class AgentChild:
    """An agent process: ``python -m module arguments``, forked."""

    name: str
    fork_server: ForkServer
    module: str
    arguments: list[str]
    errors_path: Path
    _process: ForkServerProcess | None = None
    _news: Pipe | None = None
    _lifeline: Pipe | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return self._process.pid if self._process else None

    @property
    def waitables(self) -> list[Any]:
        """The pipe it tells into, and its end."""
        pipes = [self._news] if self._news is not None else []
        return [*pipes, *([self._process.sentinel] if self._process else [])]

    def start(self) -> None:
        """Fork the process."""
        self._close()
        self._news, tells = multiprocessing.Pipe(duplex=False)
        lifeline, self._lifeline = multiprocessing.Pipe(duplex=False)
        self._process = self.fork_server.context.Process(
            target=enter,
            args=(self.module, self.arguments, tells, lifeline, self.errors_path),
            name=self.name,
            daemon=True,
        )
        with _without_main_module():
            self._process.start()
        tells.close()
        lifeline.close()

    def news(self) -> list[Told]:
        """What the process has told since last asked."""
        told: list[Told] = []
        try:
            while self._news is not None and self._news.poll():
                told.append(self._news.recv())
        except (EOFError, OSError):
            if self._news is not None:
                self._news.close()
            self._news = None
        return told

    def exit_code(self) -> int | None:
        """Exit code, negative if a signal killed it, None while it runs."""
        return self._process.exitcode if self._process else None

    def ended(self) -> dict[str, int]:
        """Its exit code by its name, once it has ended."""
        code = self.exit_code()
        return {} if code is None else {self.name: code}

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Make the process stop."""
        if self._process is not None:
            self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; True if it has ended."""
        if self._process is None:
            return True
        self._process.join(timeout_s)
        return self._process.exitcode is not None

    def last_words(self) -> str:
        """What it complained of last on standard error."""
        return last_complaint_in(self.errors_path)

    def _close(self) -> None:
        for pipe in (self._news, self._lifeline):
            if pipe is not None:
                pipe.close()
        self._news = self._lifeline = None


@dataclass
class ServerChild:
    """The embedded XMPP server: ``python -m runtime.xmpp``. Started again it takes the same port."""

    MODULE: ClassVar[str] = "runtime.xmpp"

    directory: Path
    accounts_path: Path
    errors_path: Path
    name: str = "xmpp server"
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return self._process.pid if self._process else None

    @property
    def waitables(self) -> list[Any]:
        """Its end, seen as the end of its standard output."""
        return [self._process.stdout] if self._process and self._process.stdout else []

    @property
    def carries_on(self) -> bool:
        """Never once it has ended: it is one process."""
        return False

    def start(self) -> None:
        """Start the process; ``await_ready`` waits until it listens."""
        self.errors_path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", self.MODULE, "--dir", str(self.directory)]
        command += ["--accounts", str(self.accounts_path), "--port", str(self.port)]
        with self.errors_path.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def await_ready(self) -> None:
        """Wait until the server listens.

        Raises:
            FleetError: it ended or did not get ready in time.
        """
        process = self._process
        assert process is not None, "await_ready comes after start"
        assert process.stdout is not None, "the server's output is a pipe"
        if not multiprocessing.connection.wait([process.stdout.fileno()], SERVER_READY_LIMIT_S):
            raise FleetError(f"the XMPP server was not ready within {SERVER_READY_LIMIT_S:g} s")
        line = process.stdout.readline()
        if not line:
            process.wait()
            raise FleetError(f"the XMPP server did not start: {self.last_words()}")
        self.port = json.loads(line)["ready"]["port"]

    def news(self) -> list[Told]:
        """Nothing: the server is silent after it is ready."""
        return []

    def exit_code(self) -> int | None:
        """Exit code, negative if a signal killed it, None while it runs."""
        return self._process.poll() if self._process else None

    def ended(self) -> dict[str, int]:
        """Its exit code by its name, once it has ended."""
        code = self.exit_code()
        return {} if code is None else {self.name: code}

    def terminate(self) -> None:
        """Close its lifeline, which asks it to stop."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        """Make the process stop."""
        if self._process is not None:
            self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; True if it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        if self._process.stdout is not None:
            self._process.stdout.close()
        return True

    def last_words(self) -> str:
        """What it complained of last on standard error."""
        return last_complaint_in(self.errors_path)


def last_complaint_in(path: Path) -> str:
    """What a process complained of last in the file of its standard error; empty if that cannot be read."""
    try:
        with path.open("rb") as errors:
            errors.seek(-min(16384, os.fstat(errors.fileno()).st_size), os.SEEK_END)
            return last_complaint(errors.read().decode("utf-8", "replace"))
    except OSError:
        return ""
