"""Cards that others move, seen by a subscription to a real chain, and by the comparison where that was lost."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from actors.data_keys import DataKeys
from actors.workers.custody.ownership import FollowOwnership
from actors.workers.custody.ownership_watch import OwnershipWatch
from chain.programs.addresses import TOKEN_2022, token_account_of
from chain.programs.tokens import create_token_account, transfer_checked
from chain.rpc.client import ChainRpc
from chain.rpc.subscriptions import Subscriptions
from chain.wallets.custody import opened
from chain.wallets.envelope import EnvelopeCipher
from chain.wallets.holder_changes import HolderChanges
from chain.wallets.holdings import Holdings
from domain.minting.custody import NOBODY
from persistence.keys.data_keys import DataKeyRows
from persistence.minting.ownership import Ownership
from persistence.wallets.custody import CustodialWallets
from tests.contracts.minting.minting_scene import NOW, WITHIN_S, MintingScene, config_of, member

POLL_S = 0.02
SECRETS = ("s" * 40,)


async def minted(scene: MintingScene, database_url: str, count: int) -> tuple[Keypair, list[int]]:
    """The key of a wallet, and the copies in it."""
    owner = await scene.person()
    mint = await scene.asked(owner, count)
    async with member(config_of(database_url, scene.chain, scene.home)):
        assert (await scene.until_finished(mint)).state == "done"
    wallet = (await CustodialWallets(scene.pool).of([owner]))[owner]
    keys = DataKeys(DataKeyRows(scene.pool), EnvelopeCipher(lambda: SECRETS, lambda: NOW), lambda: NOW)
    await keys.open()
    return opened(wallet, keys.cipher), [item.copy for item in await scene.mints.items(mint, 0, None, 100)]


async def move(scene: MintingScene, copy: int, giver: Keypair, to: Pubkey) -> None:
    """With the key of the holder, behind the engine's back; returns when that is final."""
    mint = Pubkey.from_string(await scene.pool.fetchval("SELECT address FROM assets WHERE copy_id = $1", copy))
    source, target = (token_account_of(one, mint, TOKEN_2022) for one in (giver.pubkey(), to))
    scene.chain.call("requestAirdrop", str(giver.pubkey()), 10**9)
    recent = scene.chain.call("getLatestBlockhash", {"commitment": "processed"})["value"]["blockhash"]
    instructions = [
        create_token_account(giver.pubkey(), to, mint, TOKEN_2022),
        transfer_checked(source, mint, target, giver.pubkey(), 1, 0, TOKEN_2022),
    ]
    message = MessageV0.try_compile(giver.pubkey(), instructions, [], Hash.from_string(recent))
    raw = base64.b64encode(bytes(VersionedTransaction(message, [giver]))).decode()
    signature = scene.chain.call("sendTransaction", raw, {"encoding": "base64", "preflightCommitment": "processed"})
    async with asyncio.timeout(WITHIN_S):
        while True:
            [status] = scene.chain.call("getSignatureStatuses", [signature])["value"]
            if status is not None and status["confirmationStatus"] == "finalized":
                assert status["err"] is None
                return
            await asyncio.sleep(POLL_S)


async def until_owned(scene: MintingScene, copy: int, owner: int, within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        found = None
        while found != owner:
            await asyncio.sleep(POLL_S)
            found = await scene.pool.fetchval("SELECT owner_id FROM copies WHERE copy_id = $1", copy)


@asynccontextmanager
async def watching(scene: MintingScene) -> AsyncIterator[Subscriptions]:
    subscriptions = Subscriptions([scene.chain.url], 0.05)
    await subscriptions.start()
    watch = OwnershipWatch(
        Ownership(scene.pool), lambda standard: HolderChanges(subscriptions, standard), lambda: NOW, every_s=0.1
    )
    task = asyncio.create_task(watch.run())
    try:
        yield subscriptions
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await subscriptions.stop()


async def until_subscribed(subscriptions: Subscriptions) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not subscriptions._by_number:  # noqa: ASYNC110 – nothing notifies of it
            await asyncio.sleep(POLL_S)


async def test_a_card_moved_outside_is_noticed_within_two_seconds_of_finality(scene: MintingScene, database_url: str):
    giver, copies = await minted(scene, database_url, 20)
    async with watching(scene) as subscriptions:
        await until_subscribed(subscriptions)
        await move(scene, copies[7], giver, Keypair().pubkey())
        await until_owned(scene, copies[7], NOBODY, within_s=2.0)
    left = await scene.pool.fetch(
        "SELECT copy_id FROM copies WHERE place = 'withdrawn' AND copy_id = ANY($1::bigint[])", copies
    )
    assert [row[0] for row in left] == [copies[7]]


async def test_what_a_lost_subscription_missed_is_found_by_the_comparison(scene: MintingScene, database_url: str):
    giver, [missed, seen] = await minted(scene, database_url, 2)
    async with watching(scene) as subscriptions:
        await until_subscribed(subscriptions)
        scene.chain.kill()
        async with asyncio.timeout(WITHIN_S):
            while subscriptions.connected:  # noqa: ASYNC110 – nothing notifies of it
                await asyncio.sleep(POLL_S)
        scene.chain.start()
        await until_subscribed(subscriptions)
        await move(scene, seen, giver, Keypair().pubkey())
        await until_owned(scene, seen, NOBODY)
    await move(scene, missed, giver, Keypair().pubkey())
    rpc = ChainRpc([scene.chain.url])
    await rpc.start()
    try:
        await FollowOwnership(Ownership(scene.pool), Holdings(rpc), lambda: NOW).run([])
    finally:
        await rpc.stop()
    await until_owned(scene, missed, NOBODY)
