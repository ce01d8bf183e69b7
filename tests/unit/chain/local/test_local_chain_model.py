"""The local chain against a model that is only arithmetic: payments, slots, crashes and forks in any order."""

import asyncio
import tempfile
from pathlib import Path

from chain_scene import SOL, Scene
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chain.local.slots import FINALIZED_AFTER_SLOTS

RECEIVERS = tuple(Pubkey(bytes([number]) * 32) for number in range(1, 4))
FEE = 5000

payments = st.tuples(st.just("pay"), st.integers(0, 2), st.integers(1, 3))
slots = st.tuples(st.just("slots"), st.sampled_from([1, 2, 3, FINALIZED_AFTER_SLOTS]), st.just(0))
crashes = st.tuples(st.just("crash"), st.just(0), st.just(0))
forks = st.tuples(st.just("fork"), st.integers(1, 6), st.just(0))

Balances = tuple[int, ...]


class Model:
    """Balances at the end of each slot that can still be asked for; the last entry is of the current slot."""

    def __init__(self, slot: int, balances: Balances) -> None:
        self.now = balances
        self.ended = {slot - 1: balances}

    def pay(self, receiver: int, amount: int) -> None:
        before = self.now
        self.now = (before[0] - amount - FEE, *(x + amount * (one == receiver) for one, x in enumerate(before[1:])))

    def end_slot(self, slot: int) -> None:
        self.ended[slot] = self.now

    def at(self, slot: int) -> Balances:
        """What was true at the end of a slot: of the last one before it that is known."""
        return self.ended[max(known for known in self.ended if known <= slot)]

    def crash(self, slot: int) -> None:
        """Back to the end of the last slot; that is all that is left to ask for."""
        self.now = self.at(slot - 1)
        self.ended = {0: self.now}

    def fork(self, slot: int, target: int) -> None:
        self.now = self.at(target)
        self.ended = {known: balances for known, balances in self.ended.items() if known <= target}
        self.end_slot(slot)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(payments, payments, payments, slots, slots, crashes, forks), min_size=10, max_size=40))
def test_balances_are_those_of_the_model_at_every_commitment(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory), steps))


async def play(directory: Path, steps: list[tuple[str, int, int]]) -> None:
    scene = Scene(directory / "chain")
    await scene.open()
    await scene.funded(1000 * SOL)
    for receiver in RECEIVERS:  # so that no payment makes an account
        scene.node.airdrop(receiver, SOL)
    await scene.ticks(FINALIZED_AFTER_SLOTS + 1)
    model = Model(scene.node.blocks.slot, read(scene, "processed"))
    model.ended = {0: model.now}
    for step, number, amount in steps:
        await take(scene, model, step, number, amount)
        blocks = scene.node.blocks
        assert read(scene, "processed") == model.now
        assert read(scene, "confirmed") == model.at(blocks.slot_at("confirmed"))
        assert read(scene, "finalized") == model.at(blocks.slot_at("finalized"))
    await scene.close()


async def take(scene: Scene, model: Model, step: str, number: int, amount: int) -> None:
    slot = scene.node.blocks.slot
    if step == "pay":
        payment = scene.payment(RECEIVERS[number], amount)
        if payment.signature not in scene.node.bank.statuses:
            model.pay(number, amount)
        await scene.send(payment)
    elif step == "slots":
        for _ in range(number):
            model.end_slot(scene.node.blocks.slot)
            await scene.ticks()
    elif step == "crash":
        await scene.crash()
        await scene.open()
        model.crash(slot)
    elif slot - number >= scene.node.blocks.slot_at("finalized"):
        scene.node.roll_back(number)
        await scene.node.on_disk()
        model.fork(slot, slot - number)


def read(scene: Scene, commitment: str) -> Balances:
    addresses = (scene.payer.pubkey(), *RECEIVERS)
    return tuple(scene.balance(address, commitment) for address in addresses)  # type: ignore[arg-type]
