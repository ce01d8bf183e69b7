"""Cards of a running engine on the chain: sold while processes die, and moved by others behind its back.

What is true on the chain is read and sent here by public libraries, not by the engine's code.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from engines import Up
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from spl.token.constants import TOKEN_2022_PROGRAM_ID
from spl.token.instructions import (
    create_idempotent_associated_token_account,
    get_associated_token_address,
    transfer_checked,
)
from spl.token.models import TransferCheckedParams

from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.rest_client import RestClient
from ece.engine.accounts import ProvisionedAccounts
from tests.faults.parts import below, title_of

pytestmark = pytest.mark.timeout(300)

ANN, BOB = "ann", "bob"
USD = 1_000_000
WITHIN_S = 90.0
POLL_S = 0.25
# Finality is the same 32 slots; shorter ones make the test quick.
SLOT_MS = "50"


@dataclass
class Chain:
    """The chain, as anybody sees it."""

    url: str

    def call(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = httpx.post(self.url, json=request, timeout=30, trust_env=False).json()
        assert "error" not in answer, answer
        return answer["result"]

    def holder_of(self, asset: str) -> str:
        """The wallet that has the asset, at finality."""
        final = {"commitment": "finalized"}
        [account] = [
            one["address"]
            for one in self.call("getTokenLargestAccounts", asset, final)["value"]
            if one["amount"] == "1"
        ]
        found = self.call("getAccountInfo", account, final | {"encoding": "jsonParsed"})["value"]
        return str(found["data"]["parsed"]["info"]["owner"])

    def transfer(self, asset: str, giver: Keypair, to: Pubkey) -> None:
        """Move an asset with the key of its holder; returns when that is final."""
        mint = Pubkey.from_string(asset)
        source, target = (
            get_associated_token_address(one, mint, TOKEN_2022_PROGRAM_ID) for one in (giver.pubkey(), to)
        )
        self.call("requestAirdrop", str(giver.pubkey()), 10**9)
        recent = self.call("getLatestBlockhash", {"commitment": "processed"})["value"]["blockhash"]
        instructions = [
            create_idempotent_associated_token_account(giver.pubkey(), to, mint, TOKEN_2022_PROGRAM_ID),
            transfer_checked(
                TransferCheckedParams(
                    program_id=TOKEN_2022_PROGRAM_ID, source=source, mint=mint, dest=target, owner=giver.pubkey(),
                    amount=1, decimals=0, signers=[],
                )
            ),
        ]  # fmt: skip
        message = MessageV0.try_compile(giver.pubkey(), instructions, [], Hash.from_string(recent))
        raw = base64.b64encode(bytes(VersionedTransaction(message, [giver]))).decode()
        self.call("sendTransaction", raw, {"encoding": "base64", "preflightCommitment": "processed"})
        ends = time.monotonic() + WITHIN_S
        while self.holder_of(asset) != str(to):
            assert time.monotonic() < ends, "the transfer is not final"
            time.sleep(POLL_S)


@dataclass
class Scene:
    """An engine with ann's minted cards."""

    up: Up
    rest: RestClient
    chain: Chain

    async def minted(self, count: int) -> list[str]:
        """Copies of ann's, minted."""
        await self.rest.post(ANN, "/admin/catalog/cards", {"set": "s", "number": "1", "name": "Card", "rarity": "rare"})
        [card] = (await self.rest.get(ANN, "/catalog/cards?set=s"))["items"]
        mint = (await self.rest.post(ANN, "/mints", {"card": card["id"], "count": count}))["id"]

        async def done() -> bool:
            return bool((await self.rest.get(ANN, f"/mints/{mint}"))["state"] == "done")

        await eventually(done, "the cards are minted")
        return [item["copy"] for item in (await self.rest.get(ANN, f"/mints/{mint}/items"))["items"]]

    async def listed(self, copy: str, duration_ms: int) -> str:
        terms = {"title": "Card", "starting_price": USD, "duration_ms": duration_ms, "copies": [copy]}
        return str((await self.rest.post(ANN, "/auctions", terms))["id"])

    async def held(self, copy: str) -> dict[str, Any]:
        return await self.rest.get(ANN, f"/copies/{copy}/ownership")

    async def until_held(self, copy: str, what: str, **expected: object) -> dict[str, Any]:
        """Wait until what the engine says of the copy is this, and nothing moves it."""
        found: dict[str, Any] = {}

        async def as_expected() -> bool:
            found.update(await self.held(copy))
            return found["moving"] is False and expected.items() <= found.items()

        await eventually(as_expected, what, found)
        return found

    async def wallet_of(self, user: str) -> str:
        return str((await self.rest.get(user, "/wallets"))["custodial"]["address"])

    def vault(self) -> Keypair:
        """The key of the vault, as somebody might steal it."""
        key = self.up.data_dir.secrets / "chain" / "vault.json"
        return Keypair.from_bytes(bytes(json.loads(key.read_text())))

    def processes(self, part: str) -> list[int]:
        """The processes of a part: a child of the supervisor, or the minting actors."""
        if part == "minting":
            driver = self.up.child("ray-driver") or 0
            return [one.pid for one in below(driver, recursive=True) if "MintingActor" in title_of(one)]
        child = self.up.child(part)
        return [] if child is None else [child]

    async def kill(self, *parts: str) -> None:
        """kill -9 of these parts at once; returns when each has a new process."""
        killed = {part: self.processes(part) for part in parts}
        for pid in (pid for pids in killed.values() for pid in pids):
            os.kill(pid, signal.SIGKILL)

        async def back() -> bool:
            return all(set(self.processes(part)) - set(pids) for part, pids in killed.items())

        await eventually(back, f"{parts} are started again")

    def audit(self) -> dict[str, Any]:
        """`ece chain audit`."""
        return self.command("chain", "audit", "--json")

    def command(self, *arguments: str) -> dict[str, Any]:
        """What a command of the engine prints as JSON; it has to end with 0."""
        environment = {
            "PATH": os.environ["PATH"], "ECE_DATA_DIR": str(self.up.data_dir.path), "ECE_PORT": str(self.up.port)
        }  # fmt: skip
        ran = subprocess.run(
            [sys.executable, "-m", "ece.cli", *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return dict(json.loads(ran.stdout))


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, last: object = None) -> None:
    ends = time.monotonic() + WITHIN_S
    while True:
        try:
            if await condition():
                return
        except httpx.TransportError:
            pass  # A gateway that was killed is back soon.
        assert time.monotonic() < ends, f"not within {WITHIN_S:.0f} s: {what}; {last}"
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def scene(up: Up) -> AsyncIterator[Scene]:
    up.set(ECE_CHAIN_SLOT_MS=SLOT_MS)
    up.start()
    state = up.wait_until_ready()
    assert state.solana_rpc_url is not None
    roster = Roster(ProvisionedAccounts(state.database_url, up.key_secrets))
    await roster.enlist([ANN], OPERATOR_ROLE)
    await roster.enlist([BOB])
    rest = RestClient(up.url, roster)
    try:
        yield Scene(up, rest, Chain(state.solana_rpc_url))
    finally:
        await rest.close()


async def test_a_sold_card_is_its_winners_on_the_chain_whatever_dies_in_between(up: Up):
    async with scene(up) as s:
        sold, unsold, given = await s.minted(3)
        auction = await s.listed(sold, 6_000)
        await s.listed(unsold, 3_000)
        await s.rest.post(BOB, f"/auctions/{auction}/bids", {"amount": 5 * USD})
        await s.rest.post(ANN, f"/copies/{given}/give", {"to": BOB})
        for parts in (("minting",), ("chain",), ("worker", "minting"), ("postgres",), ("chain", "minting")):
            await s.kill(*parts)
        ann, bob = None, None

        async def wallets() -> bool:
            nonlocal ann, bob
            ann, bob = await s.wallet_of(ANN), await s.wallet_of(BOB)
            return True

        await eventually(wallets, "the gateway answers")
        for copy, owner, wallet in ((sold, BOB, bob), (unsold, ANN, ann), (given, BOB, bob)):
            held = await s.until_held(copy, f"{owner} has it", owner=owner, place="free", holder=wallet)
            assert s.chain.holder_of(held["asset"]) == wallet
        found = await asyncio.to_thread(s.audit)
        assert (found["cards"], found["agree"], found["findings"]) == (3, 3, [])
        assert found["usdc"]["finding"] is None


async def test_cards_that_others_move_change_their_owner_and_end_their_auction(up: Up):
    async with scene(up) as s:
        left, listed = await s.minted(2)
        own, other = Keypair(), Keypair()
        await s.rest.post(ANN, f"/wallets/cards/{left}/withdraw", {"address": str(own.pubkey())})
        auction = await s.listed(listed, 3_600_000)
        asset = (await s.until_held(left, "it has left", place="withdrawn", holder=str(own.pubkey())))["asset"]
        vault = s.vault()
        in_vault = await s.until_held(listed, "it is in the vault", place="listed", holder=str(vault.pubkey()))
        worker = s.up.child("worker")
        assert worker is not None
        # While nobody looks, both are moved.
        os.kill(worker, signal.SIGSTOP)
        try:
            await asyncio.to_thread(s.chain.transfer, asset, own, other.pubkey())
            await asyncio.to_thread(s.chain.transfer, in_vault["asset"], vault, other.pubkey())
            assert (await s.held(left))["agrees"] is False
        finally:
            os.kill(worker, signal.SIGCONT)
        for copy in (left, listed):
            await s.until_held(copy, "it is nobody's", owner=None, place="withdrawn", holder=str(other.pubkey()))
            history = (await s.rest.get(ANN, f"/copies/{copy}/provenance"))["items"]
            assert history[-1]["reason"] == "outside"

        async def ended() -> bool:
            return bool((await s.rest.get(ANN, f"/auctions/{auction}"))["status"] == "cancelled")

        await eventually(ended, "the auction is cancelled")
        kinds = [item["kind"] for item in (await s.rest.get(ANN, "/notifications"))["items"]]
        assert kinds.count("card_left") == 2
        found = await asyncio.to_thread(s.audit)
        assert (found["cards"], found["agree"], found["findings"]) == (2, 2, [])


async def test_an_auction_with_bids_whose_card_is_gone_ends_and_releases_the_bid(up: Up):
    async with scene(up) as s:
        [listed] = await s.minted(1)
        auction = await s.listed(listed, 3_600_000)
        await s.rest.post(BOB, f"/auctions/{auction}/bids", {"amount": 5 * USD})
        vault = s.vault()
        asset = (await s.until_held(listed, "it is in the vault", place="listed", holder=str(vault.pubkey())))["asset"]
        assert (await s.rest.get(BOB, "/ledger/balance"))["balances"][0]["pending"] > 0
        await asyncio.to_thread(s.chain.transfer, asset, vault, Keypair().pubkey())

        async def released() -> bool:
            return bool((await s.rest.get(BOB, "/ledger/balance"))["balances"][0]["pending"] == 0)

        await eventually(released, "the bid is released")
        assert (await s.rest.get(ANN, f"/auctions/{auction}"))["status"] == "closed"
        for user in (ANN, BOB):
            [told] = [
                one for one in (await s.rest.get(user, "/notifications"))["items"] if one["kind"] == "sale_cancelled"
            ]
            assert (told["data"]["auction"]["id"], told["data"]["reason"]) == (auction, "card_gone")
        assert (await s.rest.get(ANN, "/admin/settlements/failed"))["items"] == []
        assert (await asyncio.to_thread(s.command, "ledger", "check", "--json"))["ok"]
        assert (await asyncio.to_thread(s.audit))["findings"] == []
