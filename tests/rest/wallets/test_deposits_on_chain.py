"""Deposits that a linked outside wallet signs, over REST and on a real local chain."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chain.programs.addresses import TOKEN, TOKEN_2022, token_account_of
from chain.rpc.client import ChainRpc
from chain.wallets.outside import OutsideDeposits
from tests.chain_process import ChainProcess
from tests.rest.rest_engine import USD, RestEngine
from tests.rest.test_rest_auctions import problem
from tests.rest.wallets.swap_scene import Party, SwapScene

PREPARE, SEND = "/wallets/deposits/transactions", "/wallets/deposits/send"
SOL = 10**9


@pytest.fixture
async def scene(engine: RestEngine, database_url: str, chain: ChainProcess, home: Path) -> AsyncIterator[SwapScene]:
    made, rpc = SwapScene(engine, database_url, chain, home), ChainRpc([chain.url])
    await rpc.start()
    services = engine.app.state.services
    own = replace(services.wallets, outside=OutsideDeposits(rpc), usdc_mint=str(made.mint))
    engine.app.state.services = replace(services, wallets=own)
    yield made
    await rpc.stop()


def signed(pair: Keypair, transaction: str) -> str:
    message = VersionedTransaction.from_bytes(base64.b64decode(transaction)).message
    made = VersionedTransaction.populate(message, [pair.sign_message(to_bytes_versioned(message))])
    return base64.b64encode(bytes(made)).decode()


async def funded(scene: SwapScene, usdc: int = 30 * USD) -> Party:
    ann = await scene.party()
    scene.chain.confirmed(scene.chain.call("requestAirdrop", ann.wallet, SOL))
    scene.chain.confirmed(scene.chain.call("ece_airdropUsdc", ann.wallet, usdc))
    return ann


async def prepared(ann: Party, what: dict[str, Any]) -> dict[str, Any]:
    answer = await ann.person.post(PREPARE, what)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def until_final(scene: SwapScene, ann: Party, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def ended() -> bool:
        answer = await ann.person.post(SEND, body)
        assert answer.status_code == 200, answer.text
        found.update(answer.json())
        return found["state"] in ("final", "failed", "expired")

    await scene.until(ended)
    return found


def units_in(scene: SwapScene, account: Pubkey) -> int:
    found = scene.chain.call("getTokenAccountBalance", str(account), {"commitment": "finalized"})
    return int(found["value"]["amount"])


async def test_usdc_of_the_wallet_is_in_custody_once_its_transaction_is_final(scene: SwapScene):
    ann = await funded(scene)
    what = {"wallet": ann.wallet, "amount": 12 * USD}
    made = await prepared(ann, what)
    custodial = (await ann.person.get("/wallets")).json()["custodial"]
    assert (made["destination"], made["chain"]) == (custodial["address"], "solana:localnet")
    assert made["fee"] >= 5_000
    assert made["rent"] > 0
    ended = await until_final(scene, ann, what | {"transaction": signed(ann.pair, made["transaction"])})
    assert (ended["state"], ended["reason"]) == ("final", None)
    assert units_in(scene, Pubkey.from_string(custodial["token_account"])) == 12 * USD
    assert units_in(scene, token_account_of(ann.pair.pubkey(), scene.mint, TOKEN)) == 18 * USD
    left = scene.chain.call("getBalance", ann.wallet, {"commitment": "finalized"})["value"]
    assert left == SOL - made["fee"] - made["rent"]
    # The account is there now.
    assert (await prepared(ann, what))["rent"] == 0


async def test_a_withdrawn_card_comes_back_from_the_wallet(scene: SwapScene):
    ann = await funded(scene)
    copy = await scene.card(ann)
    what = {"wallet": ann.wallet, "copy": copy}
    made = await prepared(ann, what)
    ended = await until_final(scene, ann, what | {"transaction": signed(ann.pair, made["transaction"])})
    assert (ended["state"], ended["reason"]) == ("final", None)
    asset = await scene.pool.fetchval("SELECT address FROM assets WHERE copy_id = (SELECT max(copy_id) FROM assets)")
    account = token_account_of(Pubkey.from_string(made["destination"]), Pubkey.from_string(asset), TOKEN_2022)
    assert units_in(scene, account) == 1


async def test_only_the_transaction_that_was_prepared_is_sent_and_only_signed(scene: SwapScene):
    ann, eve = await funded(scene), await funded(scene)
    what = {"wallet": ann.wallet, "amount": USD}
    made = await prepared(ann, what)
    good = signed(ann.pair, made["transaction"])
    problem(await ann.person.post(SEND, what | {"transaction": made["transaction"]}), 422, "signature_invalid")
    other = what | {"amount": 2 * USD, "transaction": good}
    problem(await ann.person.post(SEND, other), 422, "transaction_changed")
    problem(await ann.person.post(SEND, what | {"transaction": "AAAA"}), 422, "transaction_changed")
    # It is her own transaction, but to another user's custody.
    problem(await eve.person.post(SEND, what | {"transaction": good}), 422, "wallet_not_linked")
    problem(await eve.person.post(PREPARE, what), 422, "wallet_not_linked")
    hers = {"wallet": eve.wallet, "amount": USD}
    problem(await eve.person.post(SEND, hers | {"transaction": good}), 422, "transaction_changed")


async def test_what_the_wallet_lacks_is_said_before_it_signs(scene: SwapScene):
    poor, rich = await scene.party(), await funded(scene)
    short = problem(await rich.person.post(PREPARE, {"wallet": rich.wallet, "amount": 31 * USD}), 409, "wallet_short")
    assert (short["currency"], short["available"], short["required"]) == ("USDC", 30 * USD, 31 * USD)
    scene.chain.confirmed(scene.chain.call("ece_airdropUsdc", poor.wallet, 5 * USD))
    short = problem(await poor.person.post(PREPARE, {"wallet": poor.wallet, "amount": USD}), 409, "wallet_short")
    assert (short["currency"], short["available"]) == ("SOL", 0)
    assert short["required"] > 5_000


async def test_a_card_that_another_wallet_holds_is_not_deposited(scene: SwapScene):
    ann, eve = await funded(scene), await funded(scene)
    copy = await scene.card(eve)
    problem(await ann.person.post(PREPARE, {"wallet": ann.wallet, "copy": copy}), 403, "not_your_copy")
    problem(await ann.person.post(PREPARE, {"wallet": ann.wallet}), 422, "invalid_request")
    both = {"wallet": ann.wallet, "copy": copy, "amount": 1}
    problem(await ann.person.post(PREPARE, both), 422, "invalid_request")


async def test_without_a_chain_nothing_is_prepared(engine: RestEngine):
    ann = await engine.person()
    body = {"wallet": str(Keypair().pubkey()), "amount": 1}
    problem(await ann.post(PREPARE, body), 409, "no_chain")
