"""Chromium without a window, driven by the DevTools protocol."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.definition import BenchFailed
from bench.loads.processes import running

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
    "--remote-debugging-port=0", "--window-size=1440,900",
)  # fmt: skip
STARTED_WITHIN_S = 60.0
ANSWERED_WITHIN_S = 60.0
POLL_S = 0.05


def chromium_path() -> str:
    """The Chromium on the PATH. Raises BenchFailed."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise BenchFailed("there is no Chromium on the PATH (Debian: apt install chromium); name it by --chromium")
    return found


class Tab:
    """A page of the browser: commands of the DevTools protocol, one answer each. Events are ignored."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def open(self) -> None:
        """Make the page."""
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Performance", "HeapProfiler"):
            await self.send(f"{domain}.enable")

    async def receive(self) -> None:
        """Hand answers to those who wait, until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            async for text in self._connection:
                message = json.loads(text)
                if waiting := self._waiting.pop(message.get("id", 0), None):
                    waiting.set_result(message)

    async def send(self, method: str, within_s: float = ANSWERED_WITHIN_S, **parameters: Any) -> dict[str, Any]:
        """The result of a command. Raises BenchFailed."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        try:
            async with asyncio.timeout(within_s):
                await self._connection.send(
                    json.dumps(message | ({"sessionId": self._session} if self._session else {}))
                )
                found = await answer
        except (TimeoutError, ConnectionClosed):
            raise BenchFailed(f"the browser did not answer {method} within {within_s:g} s") from None
        if "error" in found:
            raise BenchFailed(f"{method}: {found['error'].get('message')}")
        return dict(found["result"])

    async def evaluate(self, expression: str, within_s: float = ANSWERED_WITHIN_S) -> Any:
        """The value of an expression of JavaScript, once a promise is fulfilled. Raises BenchFailed."""
        found = await self.send(
            "Runtime.evaluate", within_s, expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BenchFailed(f"the page failed: {details.get('exception', {}).get('description', details['text'])}")
        return found["result"].get("value")

    async def until(self, expression: str, what: str, within_s: float = ANSWERED_WITHIN_S) -> Any:
        """The value of an expression once it is true. Raises BenchFailed."""
        ends_s = asyncio.get_running_loop().time() + within_s
        while not (value := await self.evaluate(expression)):
            if asyncio.get_running_loop().time() > ends_s:
                raise BenchFailed(f"{what}: not within {within_s:g} s")
            await asyncio.sleep(POLL_S)
        return value

    async def metrics(self) -> dict[str, float]:
        """The browser's own counts of the page: JSHeapUsedSize, Nodes, JSEventListeners, …"""
        found = await self.send("Performance.getMetrics")
        return {metric["name"]: metric["value"] for metric in found["metrics"]}


@asynccontextmanager
async def chromium_tab(path: str) -> AsyncIterator[Tab]:
    """A page of a browser with a new profile; both are gone after the block."""
    # As root it refuses to start with its sandbox.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="ece-bench-browser-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        command = [path, *ARGUMENTS, *sandbox, f"--user-data-dir={home / 'profile'}", "about:blank"]
        async with running(command, log=home / "log") as process:
            url = await _address(process, home)
            async with connect(url, max_size=None, compression=None) as connection:
                tab = Tab(connection)
                receiving = asyncio.create_task(tab.receive())
                try:
                    await tab.open()
                    yield tab
                finally:
                    receiving.cancel()


async def _address(process: asyncio.subprocess.Process, home: Path) -> str:
    """Where the browser listens: it writes that into its profile."""
    written = home / "profile" / "DevToolsActivePort"
    ends_s = asyncio.get_running_loop().time() + STARTED_WITHIN_S
    while asyncio.get_running_loop().time() < ends_s and process.returncode is None:
        lines = written.read_text().split() if written.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        await asyncio.sleep(POLL_S)
    log = (home / "log").read_text(errors="replace").strip()[-800:]
    raise BenchFailed(f"the browser did not start: {log}")
