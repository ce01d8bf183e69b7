"""A card of a running engine is swapped for USDC between two outside wallets, signed by public libraries."""

import base64
from typing import Any

import pytest
from engines import Up
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.transaction import VersionedTransaction

from tests.system.test_custody import ANN, BOB, USD, Scene, eventually, scene

pytestmark = pytest.mark.timeout(300)


async def linked(s: Scene, user: str) -> Keypair:
    """An outside wallet that the user has linked."""
    pair = Keypair()
    asked = await s.rest.post(user, "/wallets/challenges", {"address": str(pair.pubkey())})
    signed = asked["message"].encode()
    await s.rest.post(user, "/wallets/links", {
        "address": str(pair.pubkey()), "message": base64.b64encode(signed).decode(),
        "signature": str(pair.sign_message(signed)),
    })  # fmt: skip
    return pair


def signed_by(pair: Keypair, transaction: str) -> str:
    """What the wallet returns: the transaction with its signature among empty ones."""
    unsigned = VersionedTransaction.from_bytes(base64.b64decode(transaction))
    signatures = list(unsigned.signatures)
    place = list(unsigned.message.account_keys).index(pair.pubkey())
    signatures[place] = pair.sign_message(to_bytes_versioned(unsigned.message))
    return base64.b64encode(bytes(VersionedTransaction.populate(unsigned.message, signatures))).decode()


async def until_state(s: Scene, swap: dict[str, Any], *states: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def reached() -> bool:
        found.update(await s.rest.get(ANN, f"/wallets/swaps/{swap['id']}"))
        return found["state"] in states

    await eventually(reached, f"the swap is {states}", found)
    return found


async def test_a_card_and_its_price_change_wallets_though_the_pool_and_the_chain_die(up: Up):
    async with scene(up) as s:
        [card] = await s.minted(1)
        ann, bob = await linked(s, ANN), await linked(s, BOB)
        await s.rest.post(ANN, f"/wallets/cards/{card}/withdraw", {"address": str(ann.pubkey())})
        asset = (await s.until_held(card, "it has left", place="withdrawn", holder=str(ann.pubkey())))["asset"]
        s.chain.call("ece_airdropUsdc", str(bob.pubkey()), 30 * USD)
        swap = await s.rest.post(ANN, "/wallets/swaps", {
            "counterparty": BOB, "gives": {"wallet": str(ann.pubkey()), "copies": [card]},
            "takes": {"wallet": str(bob.pubkey()), "pays": 30 * USD},
        })  # fmt: skip
        swap = await until_state(s, swap, "open", "failed")
        for user, pair in ((BOB, bob), (ANN, ann)):
            body = {"transaction": signed_by(pair, swap["transaction"])}
            swap = await s.rest.post(user, f"/wallets/swaps/{swap['id']}/signatures", body)
        await s.kill("minting", "chain")
        ended = await until_state(s, swap, "done", "failed")
        assert (ended["state"], ended["reason"]) == ("done", None)

        async def his() -> bool:
            return s.chain.holder_of(asset) == str(bob.pubkey())

        await eventually(his, "the chain says so")
        await s.until_held(card, "bob has it", owner=BOB, place="withdrawn", holder=str(bob.pubkey()))
        history = (await s.rest.get(ANN, f"/copies/{card}/provenance"))["items"]
        assert (history[-1]["reason"], history[-1]["price"]) == ("trade", 30 * USD)
        assert s.audit()["findings"] == []
