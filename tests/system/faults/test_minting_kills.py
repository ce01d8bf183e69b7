"""kill -9 of minting actors, PostgreSQL, the chain and the gateway while copies are minted and auctions end.

Each copy is minted once, and the log of each auction is anchored.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from engines import Up
from solders.pubkey import Pubkey

from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.rest_client import RestClient
from chain.programs.addresses import TOKEN_2022
from ece.engine.accounts import ProvisionedAccounts
from ece_client import EceError
from tests.faults.parts import below, title_of

pytestmark = pytest.mark.timeout(240)

ARTIST = "artist"
COPIES = 300
# The last one ends while parts are killed.
AUCTIONS, ENDS_EVERY_MS = 20, 500
WITHIN_S = 150.0
POLL_S = 0.25
KILLED = ("minting", "postgres", "minting", "chain", "gateway", "minting", "postgres", "chain", "minting")
TERMS = {"title": "Killed", "format": "english", "starting_price": 1_000_000}
ACTOR_TITLE = "MintingActor"
TOKEN_ACCOUNT_BYTES = 170


def minting_actors(up: Up) -> list[int]:
    return [one.pid for one in below(up.child("ray-driver") or 0, recursive=True) if ACTOR_TITLE in title_of(one)]


def rpc(url: str, method: str, *params: Any) -> Any:
    answer = httpx.post(
        url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}, timeout=30, trust_env=False
    )
    return answer.json()["result"]


def scanned(url: str) -> dict[str, int]:
    """How many of each mint all wallets of the chain have together."""
    options = {"encoding": "base64", "filters": [{"dataSize": TOKEN_ACCOUNT_BYTES}]}
    found: dict[str, int] = {}
    for one in rpc(url, "getProgramAccounts", str(TOKEN_2022), options):
        data = base64.b64decode(one["account"]["data"][0])
        mint = str(Pubkey.from_bytes(data[:32]))
        found[mint] = found.get(mint, 0) + int.from_bytes(data[64:72], "little")
    return found


def kill(pid: int | None) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def strike(up: Up, part: str) -> None:
    """Kill a part: one of the supervisor's children, or all minting actors."""
    for pid in minting_actors(up) if part == "minting" else [up.child(part)]:
        kill(pid)


def verified(up: Up) -> dict[str, Any]:
    """`ece verify --all --chain`."""
    environment = {"PATH": os.environ["PATH"], "ECE_DATA_DIR": str(up.data_dir.path), "ECE_PORT": str(up.port)}
    result = subprocess.run(
        [sys.executable, "-m", "ece.cli", "verify", "--all", "--chain", "--json"],
        env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def test_whatever_is_killed_each_copy_is_minted_once_and_each_auction_anchored(up: Up):
    up.set(ECE_MINTING_ACTORS="2", ECE_CHAIN_SLOT_MS="100", ECE_ANCHOR_AFTER_S="2")
    up.start()
    state = up.wait_until_ready()
    url = state.solana_rpc_url
    secret = up.key_secrets
    roster = Roster(ProvisionedAccounts(state.database_url, secret))
    await roster.enlist([ARTIST], OPERATOR_ROLE)
    rest = RestClient(up.url, roster)
    try:
        body = {"set": "kills", "number": "1", "name": "Card", "rarity": "rare"}
        await rest.post(ARTIST, "/admin/catalog/cards", body)
        [card] = (await rest.get(ARTIST, "/catalog/cards?set=kills"))["items"]
        rpc(url, "ece_setFaults", {"dropRate": 0.5})
        auctions = [
            (await rest.open_auction(ARTIST, TERMS | {"duration_ms": ENDS_EVERY_MS * number}))["id"]
            for number in range(1, AUCTIONS + 1)
        ]
        mint = (await rest.post(ARTIST, "/mints", {"card": card["id"], "count": COPIES}))["id"]
        for part in KILLED:
            await asyncio.sleep(1.0)
            strike(up, part)
        finished = await _finished(rest, mint)
        assert (finished["state"], finished["done"]) == ("done", COPIES)
        items = (await rest.get(ARTIST, f"/mints/{mint}/items?limit=500"))["items"]
        for auction in auctions:
            await _anchored(rest, auction)
    finally:
        await rest.close()
    assert scanned(url) == {item["address"]: 1 for item in items}
    assert len(items) == COPIES
    checked = await asyncio.to_thread(verified, up)
    assert (checked["entities"], checked["broken"]) == (AUCTIONS, 0)


async def _anchored(rest: RestClient, auction: str) -> None:
    """Wait until the anchor of this auction is on the chain for good."""
    ends = time.monotonic() + WITHIN_S
    state = "none"
    while time.monotonic() < ends:
        with suppress(EceError):
            state = (await rest.get(ARTIST, f"/auctions/{auction}/proof"))["state"]
            if state == "final":
                return
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"not anchored within {WITHIN_S:.0f} s: {state}")


async def _finished(rest: RestClient, mint: str) -> dict[str, Any]:
    ends = time.monotonic() + WITHIN_S
    while time.monotonic() < ends:
        with suppress(EceError):
            found = await rest.get(ARTIST, f"/mints/{mint}")
            if found["state"] != "minting":
                return found
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"not minted within {WITHIN_S:.0f} s: {found}")
