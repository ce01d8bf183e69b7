"""The local chain as a process of its own, which tests may kill, and a plain client of it."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from ece.supervisor.port import free_port

WITHIN_S = 20.0
POLL_S = 0.01
SLOT_MS = 20


class ChainProcess:
    """Starts on a data directory, as often as it likes, always on the same port."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ECE_")},
            "ECE_DATA_DIR": str(home),
            "ECE_CHAIN_PORT": str(self.port),
            "ECE_CHAIN_SLOT_MS": str(SLOT_MS),
            **environment,
        }
        self._client = httpx.Client(trust_env=False, timeout=WITHIN_S)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "ece.processes.chain"]
        self._process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if json.loads(line).get("listening"):
                return
        raise AssertionError(f"it ended with {self._process.wait()} before it listened")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(WITHIN_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        self._client.close()

    def call(self, method: str, *params: Any) -> Any:
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).json()
        assert "error" not in answer, answer
        return answer["result"]

    def post(self, content: object, **more: Any) -> httpx.Response:
        return self._client.post(self.url, json=content, **more)

    def raw(self, method: str, **more: Any) -> httpx.Response:
        return self._client.request(method, self.url, **more)

    def statuses(self, signatures: list[str]) -> list[Any]:
        return list(self.call("getSignatureStatuses", signatures, {"searchTransactionHistory": True})["value"])

    def blockhash(self) -> Hash:
        value = self.call("getLatestBlockhash", {"commitment": "confirmed"})["value"]
        return Hash.from_string(value["blockhash"])

    def funded(self, lamports: int = 10**12) -> Keypair:
        payer = Keypair()
        self.confirmed(self.call("requestAirdrop", str(payer.pubkey()), lamports))
        return payer

    def confirmed(self, signature: str) -> None:
        """Wait until a transaction is."""
        until(lambda: is_confirmed(self.statuses([signature])[0]), "confirmed")

    def send(self, raw: bytes) -> str:
        config = {"encoding": "base64", "skipPreflight": True}
        return str(self.call("sendTransaction", base64.b64encode(raw).decode(), config))


def payment(payer: Keypair, to: Pubkey, lamports: int, blockhash: Hash) -> bytes:
    instruction = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=lamports))
    message = MessageV0.try_compile(payer.pubkey(), [instruction], [], blockhash)
    return bytes(VersionedTransaction(message, [payer]))


def is_confirmed(status: dict[str, Any] | None) -> bool:
    return status is not None and status["confirmationStatus"] in ("confirmed", "finalized")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not {what} in time"
        time.sleep(POLL_S)
