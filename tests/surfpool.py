"""surfpool, a Solana validator of others, as a process: the engine must not notice that it is not the local chain.

It is used where it is installed, once for all checkouts:
`npm install --prefix ~/.cache/ece-tests/surfpool @solana/surfpool-linux-x64-gnu@1.5.0`
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

PACKAGE = "@solana/surfpool-linux-x64-gnu"
HOME = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ece-tests" / "surfpool"
SLOT_MS = 50
WITHIN_S = 20.0
_SERVER = """
const { Surfnet } = require(process.argv[1] + '/surfpool-sdk.linux-x64-gnu.node');
const slotTimeMs = Number(process.argv[2]);
const net = Surfnet.startWithConfig({ offline: true, blockProductionMode: 'clock', slotTimeMs });
console.log(JSON.stringify({ rpc: net.rpcUrl, ws: net.wsUrl }));
process.stdin.resume();
process.stdin.on('end', () => { net.stop(); process.exit(0); });
"""


def installed() -> str | None:
    """Why it can't be used; None if it can."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (HOME / "node_modules" / PACKAGE).is_dir():
        return f"surfpool is not installed: npm install --prefix {HOME} {PACKAGE}@1.5.0"
    return None


needs_surfpool = pytest.mark.skipif(installed() is not None, reason=installed() or "it is installed")


class Surfpool:
    """A chain of its own from the start; it ends when its input does."""

    def __init__(self) -> None:
        command = ["node", "-e", _SERVER, str(HOME / "node_modules" / PACKAGE), str(SLOT_MS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        addresses = json.loads(self._process.stdout.readline())
        self.url = f"{addresses['rpc']}#ws={addresses['ws']}"
        self._client = httpx.Client(base_url=addresses["rpc"], trust_env=False, timeout=WITHIN_S)

    def call(self, method: str, *params: Any) -> Any:
        answer = self._client.post("", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).json()
        assert "error" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        self._client.close()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(WITHIN_S)
        self._process.stdout.close()
