"""The RPC client, transactions and standards over the local chain and over surfpool, which others wrote."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.bundle import Bundle
from chain.rpc.answers import SignatureStatus
from chain.rpc.client import ChainRpc
from chain.rpc.notices import Missed, Update
from chain.rpc.subscriptions import Subscriptions
from chain.signing import LocalSigner
from chain.standards.standard import AssetTerms, ChainAsset, CollectionTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.building import Fee, SignedTransaction, build
from chain.transactions.cosigned import cosigned_message
from chain.transactions.nonce import NONCE_BYTES, Nonce, create_nonce, nonce_address, parse_nonce
from chain.transactions.swap import AssetLeg, LamportLeg, swap
from tests.chain_process import ChainProcess
from tests.surfpool import Surfpool, needs_surfpool

STANDARD = Token2022()
SOL = 10**9
WITHIN_S = 30.0
POLL_S = 0.02


@pytest.fixture(params=["local", pytest.param("surfpool", marks=needs_surfpool)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Surfpool | ChainProcess]:
    if request.param == "surfpool":
        with closing(Surfpool()) as other:
            yield other
        return
    with closing(ChainProcess(tmp_path)) as mine:
        mine.start()
        yield mine


@pytest.fixture
async def rpc(server: Surfpool | ChainProcess) -> AsyncIterator[ChainRpc]:
    mine = ChainRpc([server.url])
    await mine.start()
    yield mine
    await mine.stop()


async def funded(rpc: ChainRpc) -> Keypair:
    keypair = Keypair()
    await rpc.request_airdrop(keypair.pubkey(), 10 * SOL)
    async with asyncio.timeout(WITHIN_S):
        while await rpc.balance(keypair.pubkey()) < 10 * SOL:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    return keypair


async def landed(rpc: ChainRpc, signature: Signature, raw: bytes) -> SignatureStatus:
    await rpc.send(raw)
    async with asyncio.timeout(WITHIN_S):
        while True:
            [found] = await rpc.statuses([signature])
            if found is not None and found.commitment != "processed":
                return found
            await asyncio.sleep(POLL_S)


async def signed(
    rpc: ChainRpc, payer: Keypair, bundles: Sequence[Bundle], *signers: Keypair, version: int = 1
) -> SignedTransaction:
    recent = await rpc.latest_blockhash()
    keys = [LocalSigner(one) for one in signers]
    return await build(LocalSigner(payer), keys, bundles, recent, Fee(400_000), version)


async def done(rpc: ChainRpc, payer: Keypair, bundles: Sequence[Bundle], *signers: Keypair, version: int = 1) -> None:
    made = await signed(rpc, payer, bundles, *signers, version=version)
    found = await landed(rpc, made.signature, made.raw)
    assert found.error is None, str(found.error)


async def minted(rpc: ChainRpc, payer: Keypair, key: str, owner: Pubkey, version: int = 1) -> Pubkey:
    terms = AssetTerms("Card", "CARD", "ipfs://card", None, 250)
    size = STANDARD.asset_bytes(terms)
    rents = {size: await rpc.minimum_balance(size)}
    await done(rpc, payer, [STANDARD.mint(payer.pubkey(), payer.pubkey(), key, owner, terms, rents)], version=version)
    return STANDARD.asset_address(payer.pubkey(), key)


@pytest.mark.parametrize("version", [0, 1])
async def test_an_asset_in_a_collection_is_minted_and_read(rpc: ChainRpc, version: int):
    payer, owner = await funded(rpc), Keypair().pubkey()
    authority = payer.pubkey()
    terms = CollectionTerms("Set", "SET", "ipfs://set", 5)
    size = STANDARD.collection_bytes(terms)
    rents = {size: await rpc.minimum_balance(size)}
    await done(rpc, payer, [STANDARD.create_collection(authority, authority, "set", terms, rents)], version=version)
    collection = STANDARD.collection_address(authority, "set")
    card = AssetTerms("Card", "CARD", "ipfs://card", collection, 250)
    rents = {STANDARD.asset_bytes(card): await rpc.minimum_balance(STANDARD.asset_bytes(card))}
    bundle = STANDARD.mint(authority, authority, "1", owner, card, rents)
    made = await signed(rpc, payer, [bundle], version=version)
    simulated = await rpc.simulate(made.raw)
    assert simulated.error is None
    assert 0 < simulated.units <= bundle.compute_units
    assert (await landed(rpc, made.signature, made.raw)).error is None
    asset = STANDARD.asset_address(authority, "1")
    [account, holding] = (await rpc.accounts([asset, STANDARD.holding_address(asset, owner)])).accounts
    assert account is not None
    assert holding is not None
    assert STANDARD.parse_asset(account.data) == ChainAsset("Card", "CARD", "ipfs://card", collection, 250)
    assert STANDARD.holds(holding.data, asset, owner)
    again = await signed(rpc, payer, [bundle], version=version)
    assert (await rpc.simulate(again.raw)).error is not None


async def test_subscriptions_tell_of_changes(rpc: ChainRpc, server: Surfpool | ChainProcess):
    payer, to = await funded(rpc), Pubkey.new_unique()
    subscriptions = Subscriptions([server.url])
    await subscriptions.start()
    changes = subscriptions.account(to)
    async with asyncio.timeout(WITHIN_S):
        assert isinstance(await changes.next(), Missed)
        await rpc.request_airdrop(to, SOL)
        while not isinstance(notice := await changes.next(), Update):
            pass
    assert notice.value["lamports"] == SOL
    await subscriptions.stop()
    assert await rpc.balance(payer.pubkey()) == 10 * SOL


@pytest.mark.parametrize("version", [0, 1])
async def test_a_co_signed_trade_with_a_durable_nonce(rpc: ChainRpc, version: int):
    payer, ann, bob = await funded(rpc), await funded(rpc), await funded(rpc)
    card = await minted(rpc, payer, "1", ann.pubkey())
    authority = payer.pubkey()
    rent = await rpc.minimum_balance(NONCE_BYTES)
    await done(rpc, payer, [create_nonce(authority, authority, "trade", authority, rent)])
    address = nonce_address(authority, "trade")
    [account] = (await rpc.accounts([address])).accounts
    assert account is not None
    legs = [
        AssetLeg(STANDARD, card, None, ann.pubkey(), bob.pubkey()),
        LamportLeg(bob.pubkey(), ann.pubkey(), 2 * SOL),
    ]
    bundle = swap(authority, (ann.pubkey(), bob.pubkey()), legs, version)
    nonce = Nonce(address, parse_nonce(account.data))
    message = cosigned_message(authority, [bundle], nonce, Fee(200_000), version)
    keys = {one.pubkey(): one for one in (payer, ann, bob)}
    signatures = {one: keys[one].sign_message(message.message) for one in message.signers}
    found = await landed(rpc, signatures[message.signers[0]], message.assembled(signatures))
    assert found.error is None
    assert await rpc.balance(ann.pubkey()) == 12 * SOL
    [holding] = (await rpc.accounts([STANDARD.holding_address(card, bob.pubkey())])).accounts
    assert holding is not None
    assert STANDARD.holds(holding.data, card, bob.pubkey())
