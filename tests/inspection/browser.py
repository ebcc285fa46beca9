"""A headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0
        self.errors: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._calls += 1
        call = self._calls
        await self._socket.send_json({"id": call, "method": method, "params": params})
        while True:
            answer = await self._socket.receive_json(timeout=60)
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(answer["params"]["exceptionDetails"]))
            if answer.get("id") == call:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    async def run(self, script: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = 40.0) -> float:
        """Wait until a script says something true; how long that took [s]."""
        began = asyncio.get_running_loop().time()
        while not await self.run(script):
            waited = asyncio.get_running_loop().time() - began
            assert waited < seconds, f"after {seconds} s still not: {script}"
            await asyncio.sleep(0.02)
        return asyncio.get_running_loop().time() - began

    async def picture(self, path: Path, width: int, height: int, *, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await asyncio.sleep(0.3)
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Tab]:
    """Open a page in a browser of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "chromium is missing; `make packages` installs it"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", "--no-first-run", "--disable-dev-shm-usage", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            ports = Path(profile) / "DevToolsActivePort"
            for _ in range(600):
                if ports.is_file() and ports.read_text().count("\n"):
                    break
                await asyncio.sleep(0.05)
            port = ports.read_text().splitlines()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as response:
                    pages = [page for page in await response.json() if page["type"] == "page"]
                async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    tab = Tab(socket)
                    await tab.call("Runtime.enable")
                    await tab.call("Page.enable")
                    await tab.call("Page.navigate", url=url)
                    await tab.until("document.readyState === 'complete' && location.href !== 'about:blank'")
                    yield tab
        finally:
            process.terminate()
            await process.wait()
