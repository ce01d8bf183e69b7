"""The states of swaps on a real PostgreSQL: who may change them, and what a race leaves."""

import asyncio
import itertools

import pytest

from domain.errors import NOT_FOUND, SWAP_ENDED, WALLET_NOT_LINKED
from domain.sales.swaps import CardLeg
from persistence.minting.ownership import SeenHolder
from persistence.postgres.pool import Pool
from persistence.wallets.swap_rows import Swap, SwapRefusal
from persistence.wallets.swap_sending import Message, SwapSending, nonce_advanced, nonce_created
from persistence.wallets.swaps import NewSwap, Swaps
from tests.contracts.minting.custody_scene import NOW, CustodyScene
from tests.contracts.minting.test_moved_outside import address, linked

HOUR_MS = 3_600_000
ROUNDS = 10
_numbers = itertools.count(1)


class SwapScene:
    """Ann has a card in her outside wallet; Bob has a wallet."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.custody = CustodyScene(pool)
        self.swaps, self.sending = Swaps(pool), SwapSending(pool)

    async def begin(self) -> None:
        self.ann, self.bob = await self.custody.person(), await self.custody.person()
        self.wallets = (await linked(self.custody, self.ann), await linked(self.custody, self.bob))
        self.copy = await self.custody.copy(self.ann)
        await self.custody.ownership.moved_outside([SeenHolder(self.copy, self.wallets[0], 50)], NOW)

    async def proposed(self) -> int:
        id: int = await self.pool.fetchval("SELECT next_id()")
        leg = CardLeg(self.copy, await self.custody.asset(self.copy), "token-2022", None, *self.wallets, price=7)
        new = NewSwap(id, (self.ann, self.bob), self.wallets, (leg,), NOW + HOUR_MS)
        assert isinstance(await self.swaps.propose(new, NOW), Swap)
        return id

    async def opened(self) -> int:
        id = await self.proposed()
        number = await self.pool.fetchval("SELECT number FROM nonce_accounts WHERE swap_id = $1", id)
        async with self.pool.acquire() as connection:
            await nonce_created(connection, number, address())
        await self.sending.opened(Message(id, address(), f"value {next(_numbers)}", address(), b"message"), NOW)
        return id

    async def signed(self) -> int:
        id = await self.opened()
        for user in (self.ann, self.bob):
            assert isinstance(await self.swaps.sign(id, user, f"by {user}", NOW), Swap)
        return id

    async def sent(self) -> int:
        id = await self.signed()
        assert await self.sending.sent(id, b"raw", f"signature {next(_numbers)}", NOW)
        return id

    async def state(self, id: int) -> str:
        found = await self.swaps.get(id)
        assert found is not None
        return found.state

    async def jobs(self, kind: str) -> int:
        count: int = await self.pool.fetchval("SELECT count(*) FROM chain_jobs WHERE kind = $1", kind)
        return count


@pytest.fixture
async def scene(pool: Pool) -> SwapScene:
    made = SwapScene(pool)
    await made.begin()
    return made


async def test_a_cancellation_comes_before_the_platform_signs_or_too_late(scene: SwapScene):
    for _ in range(ROUNDS):
        id = await scene.signed()
        cancelled, sent = await asyncio.gather(
            scene.swaps.cancel(id, scene.bob, NOW), scene.sending.sent(id, b"raw", f"signature {next(_numbers)}", NOW)
        )
        if sent:
            assert cancelled == SwapRefusal(SWAP_ENDED, fields={"state": "sent"})
        else:
            assert isinstance(cancelled, Swap)
        assert await scene.state(id) == ("sent" if sent else "cancelled")
        if not sent:
            assert await scene.sending.to_send([id]) == {}


async def test_both_signatures_at_once_send_it_once(scene: SwapScene):
    before = await scene.jobs("send_swap")
    for done in range(1, ROUNDS + 1):
        id = await scene.opened()
        await asyncio.gather(*(scene.swaps.sign(id, user, f"by {user}", NOW) for user in (scene.ann, scene.bob)))
        assert await scene.state(id) == "signed"
        assert await scene.jobs("send_swap") == before + done
        await scene.swaps.cancel(id, scene.ann, NOW)


async def test_a_wallet_that_was_unlinked_and_other_users_can_not_sign(scene: SwapScene):
    id = await scene.opened()
    assert await scene.swaps.sign(id, await scene.custody.person(), "x", NOW) == SwapRefusal(NOT_FOUND)
    await scene.pool.execute("DELETE FROM linked_wallets WHERE address = $1", scene.wallets[0])
    refused = await scene.swaps.sign(id, scene.ann, "x", NOW)
    assert isinstance(refused, SwapRefusal)
    assert refused.code == WALLET_NOT_LINKED


async def test_nobody_can_sign_at_its_end_and_only_what_is_not_sent_expires(scene: SwapScene):
    ids = [await scene.proposed(), await scene.opened(), await scene.signed(), await scene.sent()]
    end = NOW + HOUR_MS
    refused = await scene.swaps.sign(ids[1], scene.ann, "x", end)
    assert refused == SwapRefusal(SWAP_ENDED, fields={"state": "open"})
    await scene.swaps.expire_due(end - 1)
    assert [await scene.state(id) for id in ids] == ["preparing", "open", "signed", "sent"]
    await scene.swaps.expire_due(end)
    assert [await scene.state(id) for id in ids] == ["expired", "expired", "expired", "sent"]


async def test_the_cards_follow_once_and_what_a_later_slot_says_stands(scene: SwapScene):
    id = await scene.sent()
    for _ in range(2):
        await scene.sending.landed(id, 60, NOW)
    row = await scene.custody.row(scene.copy)
    assert (row.owner_id, row.place, row.holder, row.holder_slot) == (scene.bob, "withdrawn", scene.wallets[1], 60)
    assert await scene.custody.reasons(scene.copy) == ["made", "trade"]
    await scene.sending.failed(id, "too late", NOW)
    assert await scene.state(id) == "done"
    # Another one of the same card is final in an earlier block.
    other = await scene.sent()
    await scene.sending.landed(other, 55, NOW)
    assert await scene.state(other) == "done"
    assert await scene.custody.reasons(scene.copy) == ["made", "trade"]


async def test_a_nonce_is_not_free_before_its_value_has_changed_for_good(scene: SwapScene):
    first = await scene.opened()
    await scene.swaps.cancel(first, scene.ann, NOW)
    [used] = (await scene.sending.used_nonces([first])).values()
    second = await scene.opened()
    assert (await scene.sending.used_nonces([second]))[second].address != used.address
    async with scene.pool.acquire() as connection:
        await nonce_advanced(connection, first)
    third = await scene.proposed()
    waiting = (await scene.sending.to_open([third]))[third]
    assert (waiting.nonce_address, waiting.last_value) == (used.address, used.value)


async def test_a_nonce_that_was_advanced_is_not_free_while_its_swap_is_sent(scene: SwapScene):
    id = await scene.sent()
    await scene.sending.kill(id)
    async with scene.pool.acquire() as connection:
        await nonce_advanced(connection, id)
    assert id in await scene.sending.used_nonces([id])
    await scene.sending.failed(id, "it did not land", NOW)
    assert await scene.sending.used_nonces([id]) == {}
