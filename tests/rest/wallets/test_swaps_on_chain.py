"""Swaps between outside wallets on a real chain: signed as outsiders sign, landed once, or not at all."""

import asyncio
import base64
from pathlib import Path

import pytest
from solders.keypair import Keypair

from actors.minting.kinds.swaps import LANDS_WITHIN_MS, NOT_LANDED, SendSwaps
from actors.workers.periodic import ExpireSwaps
from chain.rpc.client import ChainRpc
from domain.ids import parse_id
from persistence.chain.rows import ChainJob
from persistence.minting.ownership import Ownership, SeenHolder
from persistence.wallets.swap_sending import SwapSending
from persistence.wallets.swaps import Swaps
from tests.chain_process import ChainProcess
from tests.rest.rest_engine import USD, RestEngine
from tests.rest.test_rest_auctions import problem
from tests.rest.wallets.swap_scene import STANDARD, Party, SwapScene


@pytest.fixture
async def scene(engine: RestEngine, database_url: str, chain: ChainProcess, home: Path) -> SwapScene:
    return SwapScene(engine, database_url, chain, home)


async def two(scene: SwapScene) -> tuple[Party, Party, str, str]:
    ann, bob = await scene.party(), await scene.party()
    return ann, bob, await scene.card(ann), await scene.card(bob)


async def kinds(party: Party) -> list[str]:
    items = (await party.person.get("/notifications")).json()["items"]
    return [one["data"]["state"] for one in items if one["kind"] == "swap"]


async def test_cards_change_wallets_once_both_have_signed(scene: SwapScene):
    ann, bob, hers, his = await two(scene)
    async with scene.pool_at_work():
        made = await scene.proposed(ann, ann.gives(hers), bob, bob.gives(his))
        assert (made["state"], made["message"]) == ("preparing", None)
        made = await scene.until_state(ann, made, "open")
        assert (await ann.sign(made)).json()["state"] == "open"
        # A whole transaction is as good as a signature.
        body = {"transaction": base64.b64encode(bob.whole(made)).decode()}
        answer = await bob.person.post(f"/wallets/swaps/{made['id']}/signatures", body)
        assert answer.json()["state"] == "signed", answer.text
        ended = await scene.until_state(bob, made, "done", "failed")
        assert (ended["state"], ended["reason"]) == ("done", None)
    assert (await scene.holds(bob, hers), await scene.holds(ann, his)) == (True, True)
    assert await scene.here(hers) == (bob.person.name, bob.wallet, ["made", "trade"])
    assert await scene.here(his) == (ann.person.name, ann.wallet, ["made", "trade"])
    assert await kinds(ann) == await kinds(bob) == ["done", "open"]
    [status] = scene.chain.statuses([ended["signature"]])
    assert (status["err"], status["confirmationStatus"]) == (None, "finalized")


async def test_what_is_paid_is_divided_as_in_a_sale(scene: SwapScene):
    ann, bob, creator = await scene.party(), await scene.party(), await scene.party()
    royalty = f"[[{parse_id(creator.person.id)}, 500]]"
    card = await scene.card(ann, royalty)
    scene.give_usdc(bob, 100 * USD)
    house = scene.usdc(scene.keys.treasury.address)
    async with scene.pool_at_work():
        made = await scene.proposed(bob, bob.gives(pays=100 * USD), ann, ann.gives(card))
        made = await scene.until_state(ann, made, "open")
        for party in (bob, ann):
            assert (await party.sign(made)).status_code == 200
        assert (await scene.until_state(bob, made, "done", "failed"))["state"] == "done"
    paid = {leg["purpose"]: leg["amount"] for leg in made["legs"] if leg["kind"] == "payment"}
    assert sum(paid.values()) == 100 * USD
    assert paid["royalty"] == 5 * USD
    custodial = await scene.engine.services.wallets.custody.custodial_address(parse_id(creator.person.id))
    assert scene.usdc(ann.pair.pubkey()) == paid["sale"]
    assert scene.usdc(custodial) == paid["royalty"]
    assert scene.usdc(scene.keys.treasury.address) - house == paid["fee"]
    assert scene.usdc(bob.pair.pubkey()) == 0
    price = await scene.pool.fetchval(
        "SELECT price FROM provenance WHERE copy_id = $1 AND reason = 'trade'", parse_id(card)
    )
    assert price == 100 * USD


async def test_one_byte_changed_or_another_wallet_is_refused(scene: SwapScene):
    ann, bob, hers, his = await two(scene)
    async with scene.pool_at_work():
        made = await scene.proposed(ann, ann.gives(hers), bob, bob.gives(his))
        made = await scene.until_state(ann, made, "open")
    path, whole = f"/wallets/swaps/{made['id']}/signatures", ann.whole(made)
    end = len(whole) - 1
    changed = whole[:end] + bytes([whole[end] ^ 1])
    body = {"transaction": base64.b64encode(changed).decode()}
    problem(await ann.person.post(path, body), 422, "transaction_changed")
    body = {"transaction": base64.b64encode(whole + b"\0").decode()}
    problem(await ann.person.post(path, body), 422, "transaction_changed")
    for signature in (bob.signed(made), Party(ann.person, Keypair()).signed(made)):
        problem(await ann.person.post(path, {"signature": signature}), 422, "signature_invalid")
    # Bob's signature is in this one, not hers.
    body = {"transaction": base64.b64encode(bob.whole(made)).decode()}
    problem(await ann.person.post(path, body), 422, "signature_invalid")
    assert (await scene.swap(ann, made))["proposer"]["signed"] is False


@pytest.mark.parametrize("end", ["cancelled", "expired"])
async def test_signatures_over_an_ended_swap_are_void(scene: SwapScene, end: str):
    ann, bob, hers, his = await two(scene)
    async with scene.pool_at_work():
        made = await scene.proposed(ann, ann.gives(hers), bob, bob.gives(his))
        made = await scene.until_state(ann, made, "open")
        assert (await ann.sign(made)).status_code == 200
        if end == "cancelled":
            answer = await bob.person.post(f"/wallets/swaps/{made['id']}/cancel")
            assert answer.json()["state"] == "cancelled", answer.text
        else:
            await ExpireSwaps(Swaps(scene.pool).expire_due, lambda: made["expires_at"]).run([])
        problem(await bob.sign(made), 409, "swap_ended")
        await scene.until_nonce_free(made)
        # Not even the platform could send what they have signed.
        kept = await scene.with_platform(made, ann, bob)
        signature = scene.chain.send(kept)
        # What was sent later is in a block, so this is in none.
        scene.chain.funded()
        assert scene.chain.statuses([signature]) == [None]
    assert (await scene.swap(ann, made))["state"] == end
    assert (await scene.holds(ann, hers), await scene.holds(bob, his)) == (True, True)
    assert (await kinds(bob))[0] == end


async def test_a_card_that_was_moved_away_ends_the_swap_and_nothing_else_moves(scene: SwapScene):
    ann, bob, hers, his = await two(scene)
    async with scene.pool_at_work():
        made = await scene.proposed(ann, ann.gives(hers), bob, bob.gives(his))
        made = await scene.until_state(ann, made, "open")
        elsewhere = Keypair().pubkey()
        asset = await scene.asset(his)
        await scene.land(STANDARD.transfer(scene.issuer.pubkey(), asset, None, bob.pair.pubkey(), elsewhere), bob.pair)
        for party in (ann, bob):
            assert (await party.sign(made)).status_code == 200
        ended = await scene.until_state(ann, made, "done", "failed")
        assert ended["state"] == "failed"
        assert "InstructionError" in ended["reason"]
    assert await scene.holds(ann, hers)
    assert await scene.here(hers) == (ann.person.name, ann.wallet, ["made"])
    problem(await ann.person.post(f"/wallets/swaps/{made['id']}/cancel"), 409, "swap_ended")


async def test_a_nonce_is_used_again_with_another_value(scene: SwapScene):
    ann, bob, hers, his = await two(scene)
    made = []
    async with scene.pool_at_work():
        for _ in range(2):
            first = await scene.proposed(ann, ann.gives(hers), bob, bob.gives(his))
            made.append(await scene.until_state(ann, first, "open"))
            await ann.person.post(f"/wallets/swaps/{first['id']}/cancel")
            await scene.until_nonce_free(first)
    rows = await scene.pool.fetch(
        "SELECT nonce_address, nonce FROM swaps WHERE swap_id = ANY($1::bigint[])",
        [parse_id(one["id"]) for one in made],
    )
    assert (len({row[0] for row in rows}), len({row[1] for row in rows})) == (1, 2)


class Dying(ChainRpc):
    """The actor dies before anything is sent."""

    async def send(self, raw: bytes) -> None:
        raise asyncio.CancelledError


async def both_signed(scene: SwapScene, ann: Party, bob: Party, *copies: str) -> tuple[dict[str, object], ChainJob]:
    async with scene.pool_at_work():
        made = await scene.proposed(ann, ann.gives(copies[0]), bob, bob.gives(copies[1]))
        made = await scene.until_state(ann, made, "open")
    for party in (ann, bob):
        assert (await party.sign(made)).status_code == 200
    row = await scene.pool.fetchrow(
        "SELECT job_id, kind, key, payload, attempts, faults, batch_max, mint_id FROM chain_jobs WHERE key = $1"
        " AND kind = 'send_swap'",
        made["id"],
    )
    assert row is not None
    return made, ChainJob(*row)


def sender(scene: SwapScene, rpc: ChainRpc, later_ms: int = 0) -> SendSwaps:
    def now_ms() -> int:
        return scene.engine.services.now_ms() + later_ms

    signers = [scene.keys.authority, *scene.keys.known_fee_payers()]
    return SendSwaps(SwapSending(scene.pool), rpc, lambda: signers, now_ms)


async def test_an_actor_that_dies_between_storing_and_sending_leaves_a_swap_that_lands_once(scene: SwapScene):
    ann, bob, hers, his = await two(scene)
    made, job = await both_signed(scene, ann, bob, hers, his)
    rpc = Dying([scene.chain.url])
    await rpc.start()
    with pytest.raises(asyncio.CancelledError):
        await sender(scene, rpc).prepare([job], scene.keys.fee_payer(0).address)
    await rpc.stop()
    stored = await scene.swap(ann, made)
    assert (stored["state"], await scene.holds(ann, hers)) == ("sent", True)
    # Who looks at the chain before the swap has ended here does not take it for a move of somebody else.
    seen = [SeenHolder(parse_id(hers), bob.wallet, 10**9)]
    assert await Ownership(scene.pool).moved_outside(seen, scene.engine.services.now_ms()) == []
    problem(await ann.person.post(f"/wallets/swaps/{made['id']}/cancel"), 409, "swap_ended")
    async with scene.pool_at_work():
        ended = await scene.until_state(ann, made, "done", "failed")
    assert (ended["state"], ended["signature"]) == ("done", stored["signature"])
    assert await scene.here(hers) == (bob.person.name, bob.wallet, ["made", "trade"])


async def test_a_transaction_that_does_not_land_in_time_is_made_void(scene: SwapScene):
    ann, bob, hers, his = await two(scene)
    made, job = await both_signed(scene, ann, bob, hers, his)

    class Deaf(ChainRpc):
        async def send(self, raw: bytes) -> None:
            pass

    rpc = Deaf([scene.chain.url])
    await rpc.start()
    payer = scene.keys.fee_payer(0).address
    await sender(scene, rpc).prepare([job], payer)
    await sender(scene, rpc, LANDS_WITHIN_MS + 1).prepare([job], payer)
    # The job of the swap waits; the one that makes it void does not.
    await scene.pool.execute("UPDATE chain_jobs SET not_before = $1 WHERE job_id = $2", 2**62, job.id)
    async with scene.pool_at_work():

        async def void() -> bool:
            return bool(
                await scene.pool.fetchval(
                    "SELECT state = 'done' FROM chain_jobs WHERE kind = 'advance_nonce' AND key = $1", made["id"]
                )
            )

        await scene.until(void)
    await sender(scene, rpc).prepare([job], payer)
    await rpc.stop()
    ended = await scene.swap(ann, made)
    assert (ended["state"], ended["reason"]) == ("failed", NOT_LANDED)
    assert await scene.holds(ann, hers)
    await scene.until_nonce_free(made)
