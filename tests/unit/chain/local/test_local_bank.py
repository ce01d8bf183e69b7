"""Slots, expiry, duplicates, the ladder of commitments, nonces, and rolling back."""

import base64

import pytest
from chain_scene import SOL, Scene, as_received
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.system_program import (
    AdvanceNonceAccountParams,
    CreateAccountParams,
    InitializeNonceAccountParams,
    TransferParams,
    advance_nonce_account,
    create_account,
    initialize_nonce_account,
    transfer,
)
from solders.transaction import VersionedTransaction

from chain.local.errors import RpcError
from chain.local.ledger.blocks import Blocks
from chain.local.ledger.received import Received, received
from chain.local.programs import SYSTEM
from chain.local.slots import BLOCKHASH_AGE_MAX, FINALIZED_AFTER_SLOTS


async def test_a_payment_moves_sol_and_costs_a_fee(scene: Scene) -> None:
    await scene.funded(10 * SOL)
    to = Pubkey.new_unique()
    signature = await scene.send(scene.payment(to, 3 * SOL))
    assert scene.has_landed(signature)
    assert scene.balance(to) == 3 * SOL
    assert scene.balance(scene.payer.pubkey()) == 7 * SOL - 5000


async def test_a_transaction_climbs_from_processed_to_finalized(scene: Scene) -> None:
    await scene.funded()
    signature = await scene.send(scene.payment(Pubkey.new_unique()))
    slot = scene.node.blocks.slot
    climbed = []
    for _ in range(FINALIZED_AFTER_SLOTS + 1):
        climbed.append(scene.node.blocks.commitment_of(slot))
        await scene.ticks()
    assert climbed == ["processed"] + ["confirmed"] * (FINALIZED_AFTER_SLOTS - 1) + ["finalized"]
    assert scene.has_landed(signature)


async def test_a_read_sees_the_account_as_its_commitment_does(scene: Scene) -> None:
    await scene.funded()
    to = Pubkey.new_unique()
    await scene.send(scene.payment(to, SOL))
    await scene.ticks()
    await scene.send(scene.payment(to, 2 * SOL))
    assert [scene.balance(to, one) for one in ("processed", "confirmed", "finalized")] == [3 * SOL, SOL, 0]
    await scene.ticks(FINALIZED_AFTER_SLOTS)
    assert [scene.balance(to, one) for one in ("processed", "confirmed", "finalized")] == [3 * SOL] * 3


async def test_a_blockhash_can_be_used_in_150_blocks_after_its_own(scene: Scene) -> None:
    await scene.funded()
    blockhash = scene.blockhash()
    last_valid = scene.node.blocks.last_valid_height(scene.node.blocks.height)
    in_time = scene.payment(Pubkey.new_unique(), SOL, blockhash)
    too_late = scene.payment(Pubkey.new_unique(), SOL, blockhash)
    await scene.ticks(BLOCKHASH_AGE_MAX)
    assert scene.node.blocks.height == last_valid
    assert scene.has_landed(await scene.send(in_time))
    await scene.ticks()
    assert not scene.has_landed(await scene.send(too_late))
    with pytest.raises(RpcError, match="Blockhash not found"):
        await scene.send(too_late, preflight=True)


async def test_the_same_bytes_land_once(scene: Scene) -> None:
    await scene.funded()
    to = Pubkey.new_unique()
    payment = scene.payment(to, SOL)
    assert [await scene.send(payment) for _ in range(3)] == [payment.signature] * 3
    await scene.ticks(2)
    await scene.send(payment)
    assert scene.balance(to) == SOL
    with pytest.raises(RpcError, match="already been processed"):
        await scene.send(payment, preflight=True)


async def test_a_failed_transaction_lands_with_its_error_and_pays_its_fee(scene: Scene) -> None:
    await scene.funded(10 * SOL)
    poor = scene.payment(Pubkey.new_unique(), 100 * SOL)
    signature = await scene.send(poor)
    status = scene.node.status(signature, search_history=False)
    assert status is not None
    assert status.error == {"InstructionError": [0, {"Custom": 1}]}
    assert scene.balance(scene.payer.pubkey()) == 10 * SOL - 5000


async def test_who_cannot_pay_the_fee_never_lands(scene: Scene) -> None:
    signature = await scene.send(scene.payment(Pubkey.new_unique(), 1))
    assert not scene.has_landed(signature)


async def test_a_wrong_signature_is_refused_by_preflight_and_ignored_without_it(scene: Scene) -> None:
    await scene.funded()
    right = scene.payment(Pubkey.new_unique())
    forged = VersionedTransaction.populate(right.transaction.message, [scene.payer.sign_message(b"something else")])
    assert not scene.has_landed(await scene.send(as_received(forged)))
    with pytest.raises(RpcError) as refused:
        await scene.send(as_received(forged), preflight=True)
    assert refused.value.code == -32003


@pytest.mark.parametrize(("version", "bytes_max"), [("legacy", 1232), (0, 1232), (1, 4096)])
def test_each_version_has_its_size(version: object, bytes_max: int) -> None:
    assert len(sized(version, bytes_max).raw) == bytes_max
    with pytest.raises(RpcError, match=f"too large: {bytes_max + 1} bytes"):
        sized(version, bytes_max + 1)


def sized(version: object, size: int) -> Received:
    """A transaction of exactly so many bytes."""
    payer = Keypair()
    data = bytes(size - 300)
    while (short := size - len(bytes(transaction := filled(version, payer, data)))) > 0:
        data += bytes(short)
    return as_received(transaction)


def filled(version: object, payer: Keypair, data: bytes) -> VersionedTransaction:
    instruction = Instruction(SYSTEM, data, [])
    message: Message | MessageV0 | MessageV1
    if version == "legacy":
        message = Message.new_with_blockhash([instruction], payer.pubkey(), Hash.default())
    elif version == 0:
        message = MessageV0.try_compile(payer.pubkey(), [instruction], [], Hash.default())
    else:
        message = MessageV1.try_compile(payer.pubkey(), [instruction], Hash.default())
    return VersionedTransaction(message, [payer])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_transaction_are_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(RpcError) as refused:
        received(base64.b64encode(data).decode(), "base64")
    assert refused.value.code == -32602


def test_bytes_behind_a_transaction_are_refused() -> None:
    raw = bytes(filled(0, Keypair(), b""))
    with pytest.raises(RpcError, match="bytes follow"):
        received(base64.b64encode(raw + b"x").decode(), "base64")


# Durable nonces


async def test_a_nonce_stands_in_for_a_blockhash_at_any_age_and_once(scene: Scene) -> None:
    nonce = await with_nonce(scene)
    await scene.ticks(BLOCKHASH_AGE_MAX + 5)
    to = Pubkey.new_unique()
    payment = with_nonce_first(scene, nonce, nonce_value(scene, nonce), to, SOL)
    assert scene.has_landed(await scene.send(payment))
    await scene.ticks(2 * BLOCKHASH_AGE_MAX + 5)
    await scene.send(payment)
    assert scene.balance(to) == SOL


async def test_a_nonce_advances_also_where_its_transaction_fails(scene: Scene) -> None:
    nonce = await with_nonce(scene)
    await scene.ticks()
    before = nonce_value(scene, nonce)
    failing = with_nonce_first(scene, nonce, before, Pubkey.new_unique(), 10**6 * SOL)
    status = scene.node.status(await scene.send(failing), search_history=False)
    assert status is not None
    assert status.error is not None
    assert nonce_value(scene, nonce) != before


async def test_a_nonce_advances_once_a_block(scene: Scene) -> None:
    nonce = await with_nonce(scene)
    await scene.ticks()
    await scene.send(with_nonce_first(scene, nonce, nonce_value(scene, nonce), Pubkey.new_unique(), SOL))
    again = with_nonce_first(scene, nonce, nonce_value(scene, nonce), Pubkey.new_unique(), SOL)
    assert not scene.has_landed(await scene.send(again))
    await scene.ticks()
    assert scene.has_landed(await scene.send(again))


async def with_nonce(scene: Scene) -> Keypair:
    payer, nonce = await scene.funded(), Keypair()
    size = 80
    lamports = scene.node.bank.minimum_balance(size)
    create = create_account(
        CreateAccountParams(
            from_pubkey=payer.pubkey(), to_pubkey=nonce.pubkey(), lamports=lamports, space=size, owner=SYSTEM
        )
    )
    begin = initialize_nonce_account(
        InitializeNonceAccountParams(nonce_pubkey=nonce.pubkey(), authority=payer.pubkey())
    )
    assert scene.has_landed(await scene.send(scene.signed([create, begin], [payer, nonce])))
    return nonce


def nonce_value(scene: Scene, nonce: Keypair) -> Hash:
    account = scene.node.bank.account(nonce.pubkey())
    assert account is not None
    return Hash(account.data[40:72])


def with_nonce_first(scene: Scene, nonce: Keypair, value: Hash, to: Pubkey, lamports: int) -> Received:
    payer = scene.payer.pubkey()
    advance = advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=nonce.pubkey(), authorized_pubkey=payer))
    payment = transfer(TransferParams(from_pubkey=payer, to_pubkey=to, lamports=lamports))
    return scene.signed([advance, payment], blockhash=value)


# Rolling back


async def test_what_is_not_final_can_be_rolled_back_and_land_again(scene: Scene) -> None:
    await scene.funded(50 * SOL)
    await scene.ticks(FINALIZED_AFTER_SLOTS)
    to = Pubkey.new_unique()
    payment = scene.payment(to, SOL)
    await scene.send(payment)
    await scene.ticks(3)
    assert scene.node.blocks.commitment_of(scene.node.bank.statuses[payment.signature].slot) == "confirmed"
    height = scene.node.blocks.height

    assert scene.node.roll_back(4) == [payment.signature]
    assert (scene.balance(to), scene.balance(scene.payer.pubkey())) == (0, 50 * SOL)
    assert scene.node.blocks.height > height
    await scene.node.on_disk()
    assert not scene.has_landed(payment.signature)

    await scene.send(payment)
    assert scene.balance(to) == SOL


async def test_a_fork_of_a_fork_knows_nothing_of_the_slots_that_are_gone(scene: Scene) -> None:
    await scene.funded()
    await scene.ticks(FINALIZED_AFTER_SLOTS)
    to, before = Pubkey.new_unique(), scene.node.blocks.slot
    for amount in (SOL, 2 * SOL):
        await scene.ticks()
        await scene.send(scene.payment(to, amount))
    scene.node.roll_back(scene.node.blocks.slot - before)
    await scene.node.on_disk()
    assert scene.balance(to) == 0
    scene.node.roll_back(scene.node.blocks.slot - (before + 1))
    assert scene.balance(to) == 0


async def test_what_is_final_stays(scene: Scene) -> None:
    await scene.funded()
    with pytest.raises(RpcError, match="not finalized"):
        scene.node.roll_back(FINALIZED_AFTER_SLOTS + 1)


# Positions


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 400), st.integers(0, 400))
def test_commitments_are_ordered_and_never_behind_the_disk(slot: int, height: int, steps: int, late: int) -> None:
    blocks = Blocks(bytes(32), slot + 64, height)
    for _ in range(steps):
        blocks.advance()
    blocks.durable_slot = max(0, blocks.slot - 1 - late)
    processed, confirmed, finalized = (blocks.slot_at(one) for one in ("processed", "confirmed", "finalized"))
    assert finalized <= confirmed <= blocks.durable_slot < processed
    assert processed - finalized >= FINALIZED_AFTER_SLOTS


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_restarted_chain_knows_the_blockhashes_that_are_still_valid(height: int, steps: int) -> None:
    blocks = Blocks(b"g" * 32, 64, height)
    for _ in range(steps):
        blocks.advance()
    restarted = Blocks(b"g" * 32, blocks.slot, blocks.height)
    for age in range(BLOCKHASH_AGE_MAX + 3):
        if blocks.height >= age:
            blockhash = blocks.hash_at(blocks.height - age)
            assert restarted.is_recent(blockhash) == (age <= BLOCKHASH_AGE_MAX)
