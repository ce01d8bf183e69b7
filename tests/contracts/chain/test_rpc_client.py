"""The RPC client and its subscriptions over a local chain in a process of its own."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.programs.addresses import TOKEN
from chain.rpc.answers import SignatureStatus
from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainUnavailable, OutcomeUnknown
from chain.rpc.notices import Missed, Update
from chain.rpc.subscriptions import Subscription, Subscriptions
from tests.chain_process import ChainProcess, payment

WITHIN_S = 20.0
POLL_S = 0.02


@pytest.fixture
async def rpc(chain: ChainProcess) -> AsyncIterator[ChainRpc]:
    mine = ChainRpc([chain.url])
    await mine.start()
    yield mine
    await mine.stop()


async def next_of(subscription: Subscription) -> Update | Missed:
    async with asyncio.timeout(WITHIN_S):
        return await subscription.next()


async def update_of(subscription: Subscription) -> Update:
    while not isinstance(notice := await next_of(subscription), Update):
        pass
    return notice


async def final_status(rpc: ChainRpc, signature: Signature) -> SignatureStatus:
    async with asyncio.timeout(WITHIN_S):
        while True:
            [found] = await rpc.statuses([signature])
            if found is not None and found.commitment == "finalized":
                return found
            await asyncio.sleep(POLL_S)


async def test_a_payment_from_its_blockhash_to_finality(chain: ChainProcess, rpc: ChainRpc):
    payer, to = chain.funded(), Pubkey.new_unique()
    recent = await rpc.latest_blockhash()
    raw = payment(payer, to, 5_000_000, recent.blockhash)
    signature = Signature.from_bytes(raw[1:65])
    assert (await rpc.simulate(raw)).error is None
    await rpc.send(raw)
    found = await final_status(rpc, signature)
    assert found.error is None
    assert await rpc.block_height("finalized") <= recent.last_valid_height + 1_000
    assert await rpc.balance(to) == 5_000_000
    await rpc.send(raw)


async def test_accounts_of_wallets_and_programs(chain: ChainProcess, rpc: ChainRpc):
    owner = Keypair().pubkey()
    assert await rpc.token_accounts(owner, TOKEN) == []
    assert await rpc.program_accounts(TOKEN, [{"dataSize": 165}]) == []
    assert (await rpc.accounts([owner, TOKEN])).accounts[0] is None
    assert await rpc.minimum_balance(0) > 0
    assert await rpc.priority_fee([owner]) >= 0
    assert await rpc.health() == "ok"


async def test_a_chain_that_was_killed_is_used_again_and_known_to_be_the_same(chain: ChainProcess, rpc: ChainRpc):
    before = await rpc.slot("finalized")
    chain.kill()
    with pytest.raises(ChainUnavailable):
        await rpc.slot("finalized")
    chain.start()
    assert await rpc.slot("finalized") >= before


async def test_a_lost_answer_to_a_transaction_is_told(chain: ChainProcess, rpc: ChainRpc):
    payer = chain.funded()
    raw = payment(payer, Pubkey.new_unique(), 5_000_000, (await rpc.latest_blockhash()).blockhash)
    chain.call("ece_setFaults", {"loseAnswerRate": 1.0})
    with pytest.raises(OutcomeUnknown):
        await rpc.send(raw)


async def test_subscriptions_go_on_after_the_chain_was_killed(chain: ChainProcess):
    payer, to = chain.funded(), Pubkey.new_unique()
    subscriptions = Subscriptions([chain.url], back_off_first_s=0.02)
    await subscriptions.start()
    changes, slots = subscriptions.account(to), subscriptions.slots()
    assert isinstance(await next_of(changes), Missed)
    chain.send(payment(payer, to, 5_000_000, chain.blockhash()))
    assert (await update_of(changes)).value["lamports"] == 5_000_000
    assert (await update_of(slots)).slot is not None
    chain.kill()
    chain.start()
    assert isinstance(await next_of(changes), Missed)
    raw = payment(payer, to, 6_000_000, chain.blockhash())
    landed = subscriptions.signature(Signature.from_bytes(raw[1:65]))
    chain.send(raw)
    assert (await update_of(changes)).value["lamports"] == 11_000_000
    assert (await update_of(landed)).value == {"err": None}
    await subscriptions.stop()
