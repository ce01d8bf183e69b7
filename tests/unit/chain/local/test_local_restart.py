"""What a restart keeps, and that the chain goes on behind all that it ever told."""

import os
import stat
from pathlib import Path

import pytest
from chain_scene import SOL, Scene
from solders.pubkey import Pubkey

from chain.local.errors import StartFailed
from chain.local.node import Node, NodeConfig
from chain.local.state.keys import local_keys


async def test_accounts_transactions_and_keys_outlive_a_restart(scene: Scene) -> None:
    await scene.funded(10 * SOL)
    to, mint = Pubkey.new_unique(), scene.node.faucet.usdc_mint
    signature = await scene.send(scene.payment(to, SOL))
    await scene.ticks()
    read = {"commitment": "confirmed", "maxSupportedTransactionVersion": 1}
    before = await scene.call("getTransaction", str(signature), read)
    genesis = await scene.call("getGenesisHash")
    await scene.close()

    await scene.open()
    assert (scene.balance(to), scene.balance(scene.payer.pubkey())) == (SOL, 9 * SOL - 5000)
    assert await scene.call("getTransaction", str(signature), read) == before
    assert await scene.call("getGenesisHash") == genesis
    assert scene.node.faucet.usdc_mint == mint
    assert scene.node.status(signature, search_history=False) is not None


async def test_a_stop_writes_also_what_the_last_slot_had(scene: Scene) -> None:
    await scene.funded()
    to = Pubkey.new_unique()
    await scene.send(scene.payment(to, SOL))
    await scene.close()
    await scene.open()
    assert scene.balance(to) == SOL


async def test_a_crash_takes_what_was_only_processed_as_a_whole(scene: Scene) -> None:
    await scene.funded(10 * SOL)
    to = Pubkey.new_unique()
    payment = scene.payment(to, SOL)
    await scene.send(payment)
    assert scene.has_landed(payment.signature)
    await scene.crash()

    await scene.open()
    assert not scene.has_landed(payment.signature)
    assert (scene.balance(to), scene.balance(scene.payer.pubkey())) == (0, 10 * SOL)
    # Its blockhash is still valid: the same bytes land now.
    await scene.send(payment)
    assert scene.balance(to) == SOL


async def test_slots_and_heights_never_go_back(scene: Scene) -> None:
    told = []
    for slots in (0, 1, 7, 30):
        await scene.ticks(slots)
        told.append((scene.node.blocks.slot, scene.node.blocks.height))
        await scene.crash()
        await scene.open()
        told.append((scene.node.blocks.slot, scene.node.blocks.height))
    assert told == sorted(set(told))


async def test_the_same_bytes_do_not_land_again_after_a_restart(scene: Scene) -> None:
    await scene.funded()
    to = Pubkey.new_unique()
    payment = scene.payment(to, SOL)
    await scene.send(payment)
    await scene.ticks()
    await scene.crash()
    await scene.open()
    await scene.send(payment)
    assert scene.balance(to) == SOL


async def test_what_was_confirmed_before_a_restart_is_final_after_it(scene: Scene) -> None:
    await scene.funded()
    signature = await scene.send(scene.payment(Pubkey.new_unique()))
    await scene.ticks()
    await scene.crash()
    await scene.open()
    [status] = (await scene.call("getSignatureStatuses", [str(signature)]))["value"]
    assert status["confirmationStatus"] == "finalized"


async def test_what_was_rolled_back_stays_undone_after_a_crash(scene: Scene) -> None:
    await scene.funded()
    await scene.ticks(40)
    to = Pubkey.new_unique()
    signature = await scene.send(scene.payment(to, SOL))
    await scene.ticks(2)
    scene.node.roll_back(3)
    await scene.ticks()
    await scene.crash()
    await scene.open()
    assert not scene.has_landed(signature)
    assert scene.balance(to) == 0


async def test_two_processes_cannot_use_one_directory(scene: Scene) -> None:
    with pytest.raises(StartFailed, match="another process"):
        Node(NodeConfig(scene.directory)).open()


async def test_a_damaged_database_is_said_to_be_one(scene: Scene) -> None:
    await scene.close()
    database = scene.directory / "chain.sqlite"
    database.write_bytes(b"x" * 8192)
    with pytest.raises(StartFailed, match=r"chain\.sqlite"):
        Node(NodeConfig(scene.directory)).open()
    for leftover in scene.directory.iterdir():
        leftover.unlink()
    await scene.open()


def test_keys_are_private_made_once_and_never_half_written(tmp_path: Path) -> None:
    first = local_keys(tmp_path / "chain")
    second = local_keys(tmp_path / "chain")
    assert first.usdc_mint.pubkey() == second.usdc_mint.pubkey()
    assert "Keypair" not in repr(first)
    assert os.listdir(tmp_path / "chain") == ["keys.json"]
    assert stat.S_IMODE((tmp_path / "chain" / "keys.json").stat().st_mode) == 0o600


def test_damaged_keys_are_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"faucet": "12"}')
    with pytest.raises(StartFailed, match="damaged"):
        local_keys(tmp_path)
