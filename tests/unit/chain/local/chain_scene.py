"""A node whose slots the tests produce themselves, and transactions to put into them."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chain.local.ledger.blocks import Commitment
from chain.local.ledger.received import Received, received
from chain.local.methods.registry import answer
from chain.local.node import Node, NodeConfig
from chain.local.server.application import Application

NEVER_MS = 60_000
SOL = 10**9
WITHIN_S = 10.0


class Scene:
    """One local chain in a directory; it can be closed and opened again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.payer = Keypair()

    async def open(self, programs: Mapping[Pubkey, Path] | None = None) -> None:
        self.node = Node(NodeConfig(self.directory, slot_ms=NEVER_MS, programs=programs or {}))
        self.node.open()
        self.application = Application(self.node)
        await self.node.start()

    async def close(self) -> None:
        await self.node.stop()

    async def crash(self) -> None:
        """End without writing what is not yet on disk: of the current slot nothing is."""
        assert self.node._ticking is not None
        self.node._ticking.cancel()
        await asyncio.to_thread(self.node._writer.stop, WITHIN_S)
        self.node.release()

    async def ticks(self, slots: int = 1) -> None:
        """Produce slots; each is on disk before the next one."""
        async with asyncio.timeout(WITHIN_S):
            for _ in range(slots):
                assert self.node.tick()
                await self.node.on_disk()

    async def funded(self, lamports: int = 100 * SOL) -> Keypair:
        """The payer, with SOL."""
        self.node.airdrop(self.payer.pubkey(), lamports)
        await self.ticks()
        return self.payer

    def blockhash(self, commitment: Commitment = "processed") -> Hash:
        blocks = self.node.blocks
        return blocks.hash_at(blocks.height_at(commitment))

    def signed(
        self,
        instructions: Sequence[Instruction],
        signers: Sequence[Keypair] | None = None,
        blockhash: Hash | None = None,
    ) -> Received:
        keys = list(signers or [self.payer])
        message = MessageV0.try_compile(keys[0].pubkey(), list(instructions), [], blockhash or self.blockhash())
        return as_received(VersionedTransaction(message, keys))

    def payment(self, to: Pubkey, lamports: int = SOL, blockhash: Hash | None = None) -> Received:
        params = TransferParams(from_pubkey=self.payer.pubkey(), to_pubkey=to, lamports=lamports)
        return self.signed([transfer(params)], blockhash=blockhash)

    async def send(self, transaction: Received, *, preflight: bool = False) -> Signature:
        return await self.node.send(transaction, preflight=preflight)

    def has_landed(self, signature: Signature) -> bool:
        return self.node.status(signature, search_history=True) is not None

    def balance(self, address: Pubkey, commitment: Commitment = "processed") -> int:
        account = self.node.bank.account(address, self.node.blocks.slot_at(commitment))
        return 0 if account is None else account.lamports

    async def call(self, method: str, *params: Any) -> Any:
        """The result of a method. Fails the test with an error."""
        response = await self.respond(method, *params)
        assert "error" not in response, response
        return response["result"]

    async def error(self, method: str, *params: Any) -> tuple[int, str]:
        """Code and message of what has to fail."""
        response = await self.respond(method, *params)
        return response["error"]["code"], response["error"]["message"]

    async def respond(self, method: str, *params: Any) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        written = msgspec.json.encode(await answer(self.application.methods, request))
        response: dict[str, Any] = msgspec.json.decode(written)
        return response


def text_of(transaction: Received) -> str:
    return base64.b64encode(transaction.raw).decode()


def as_received(transaction: VersionedTransaction) -> Received:
    return received(base64.b64encode(bytes(transaction)).decode(), "base64")
