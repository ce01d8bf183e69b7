"""Faults on purpose: each does what it says, and switches at run time."""

import asyncio

import pytest
from chain_scene import SOL, Scene, text_of
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chain.local.errors import RpcError
from chain.local.faults import AnswerLost, Faults
from chain.local.methods.operator import OperatorMethods


async def switch(scene: Scene, **faults: object) -> None:
    await scene.call("ece_setFaults", faults)


async def test_a_dropped_transaction_is_accepted_and_never_lands(scene: Scene) -> None:
    await scene.funded()
    await switch(scene, dropRate=1)
    payment = scene.payment(Pubkey.new_unique())
    assert await scene.send(payment) == payment.signature
    assert not scene.has_landed(payment.signature)
    await switch(scene, dropRate=0)
    await scene.send(payment)
    assert scene.has_landed(payment.signature)


async def test_a_share_of_the_transactions_is_dropped(scene: Scene) -> None:
    await scene.funded()
    await switch(scene, dropRate=0.5)
    sent = [await scene.send(scene.payment(Pubkey.new_unique(), 10**6 + one)) for one in range(60)]
    assert 5 < sum(scene.has_landed(one) for one in sent) < 55


async def test_a_rejected_transaction_gets_the_error_of_a_busy_node(scene: Scene) -> None:
    await scene.funded()
    await switch(scene, rejectRate=1)
    config = {"encoding": "base64"}
    code, message = await scene.error("sendTransaction", text_of(scene.payment(Pubkey.new_unique())), config)
    assert (code, message) == (-32005, "Node is behind by 42 slots")


async def test_a_transaction_lands_though_its_answer_is_lost(scene: Scene) -> None:
    await scene.funded()
    await switch(scene, loseAnswerRate=1)
    payment = scene.payment(Pubkey.new_unique())
    with pytest.raises(AnswerLost):
        await scene.send(payment)
    assert scene.has_landed(payment.signature)


async def test_a_delayed_transaction_lands_later(scene: Scene) -> None:
    await scene.funded()
    await switch(scene, delayMs=30)
    to = Pubkey.new_unique()
    signature = await scene.send(scene.payment(to, SOL))
    assert not scene.has_landed(signature)
    async with asyncio.timeout(5):
        while scene.balance(to) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_stalled_chain_has_no_new_slots_and_nothing_lands(scene: Scene) -> None:
    await scene.funded()
    slot = scene.node.blocks.slot
    await switch(scene, stalled=True)
    signature = await scene.send(scene.payment(Pubkey.new_unique()))
    assert (scene.node.tick(), scene.node.blocks.slot) == (False, slot)
    assert not scene.has_landed(signature)
    await switch(scene, stalled=False)
    assert scene.node.tick()


async def test_an_unhealthy_node_says_so(scene: Scene) -> None:
    assert await scene.call("getHealth") == "ok"
    await switch(scene, unhealthy=True)
    assert (await scene.error("getHealth"))[0] == -32005


async def test_switches_that_are_not_named_stay(scene: Scene) -> None:
    await switch(scene, dropRate=0.25)
    await switch(scene, delayMs=5)
    faults = scene.node.faults
    assert (faults.drop_rate, faults.delay_ms) == (0.25, 5)


@given(st.dictionaries(st.sampled_from(["dropRate", "stalled", "delayMs", "fault"]), st.floats(-3, -0.1), min_size=1))
def test_a_switch_that_makes_no_sense_changes_nothing(changed: dict[str, object]) -> None:
    class Holder:
        faults = Faults()

    with pytest.raises(RpcError):
        OperatorMethods(Holder()).set_faults(changed)  # type: ignore[arg-type]
    assert Holder.faults == Faults()
