"""Programs that the operator names, the sockets' outbox, and how amounts are written."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from chain_scene import Scene
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chain.local.errors import StartFailed
from chain.local.ledger.bank import new_svm
from chain.local.ledger.landed import amount_json
from chain.local.node import Node, NodeConfig
from chain.local.programs import METAPLEX_CORE
from chain.local.server.application import Application

MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


async def test_a_program_from_a_file_runs(scene: Scene, tmp_path: Path) -> None:
    memo, address = new_svm().get_account(MEMO), Pubkey.new_unique()
    assert memo is not None
    (tmp_path / "memo.so").write_bytes(memo.data)
    await scene.close()
    await scene.open(programs={address: tmp_path / "memo.so"})
    await scene.funded()
    signature = await scene.send(scene.signed([Instruction(address, b"hello", [])]))
    await scene.ticks()
    read = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}
    found = await scene.call("getTransaction", str(signature), read)
    assert found["meta"]["err"] is None
    assert f"Program {address} success" in found["meta"]["logMessages"]


@pytest.mark.parametrize("content", [None, b"", b"not a program"])
def test_a_file_that_is_no_program_stops_the_start_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "core.so"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartFailed, match=r"core\.so"):
        Node(NodeConfig(tmp_path / "chain", programs={METAPLEX_CORE: path})).open()


@pytest.mark.skipif("ECE_MPL_CORE_SO" not in os.environ, reason="ECE_MPL_CORE_SO names no Metaplex Core program")
async def test_metaplex_core_is_there_when_its_file_is_named(scene: Scene) -> None:
    await scene.close()
    await scene.open(programs={METAPLEX_CORE: Path(os.environ["ECE_MPL_CORE_SO"])})
    found = await scene.call("getAccountInfo", str(METAPLEX_CORE), {"encoding": "base64"})
    assert found["value"]["executable"] is True


async def test_a_socket_that_does_not_read_is_closed(scene: Scene) -> None:
    """A client whose notifications can't be written any more, as the server sees it."""
    sent: list[dict[str, Any]] = []
    closed = asyncio.Event()
    subscribe = {"jsonrpc": "2.0", "id": 1, "method": "slotSubscribe"}
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(subscribe)})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "websocket.close":
            closed.set()
        elif message["type"] == "websocket.send" and len(sent) > 2:
            await asyncio.Event().wait()  # the network takes no more

    scope = {"type": "websocket", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 5)}
    application = Application(scene.node)
    serving = asyncio.create_task(application(scope, incoming.get, send))
    async with asyncio.timeout(20):
        while not closed.is_set():
            for _ in range(200):
                application.subscriptions.on_slot()
            await asyncio.sleep(0)
        await serving
    assert sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "too slow"}


@given(st.integers(0, 2**64 - 1), st.integers(0, 12))
def test_amounts_are_written_exactly(amount: int, decimals: int) -> None:
    written = amount_json(amount, decimals)
    whole, _, part = written["uiAmountString"].partition(".")
    assert int(whole) * 10**decimals + int(part.ljust(decimals, "0") or "0") == amount
    assert not written["uiAmountString"].endswith((".", ".0"))
