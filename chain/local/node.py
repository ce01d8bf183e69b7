"""The node: a bank that moves on slot by slot, its state on disk, its faults, and who is told of what happens."""

import asyncio
import base64
import fcntl
import os
import sqlite3
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import structlog
from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.local.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    NODE_UNHEALTHY,
    PREFLIGHT_FAILURE,
    RpcError,
    StartFailed,
    error_sentence,
)
from chain.local.faucet import Faucet
from chain.local.faults import DELAYED_MAX, NO_FAULTS, AnswerLost, Faults, happens
from chain.local.ledger.bank import Bank, new_svm
from chain.local.ledger.blocks import RESERVED, Blocks, Commitment
from chain.local.ledger.fees import RecentFees
from chain.local.ledger.landed import Landed, Status
from chain.local.ledger.received import Received, received, verify
from chain.local.ledger.simulation import simulation_json
from chain.local.slots import BLOCKHASH_AGE_MAX, FINALIZED_AFTER_SLOTS, SLOT_MS
from chain.local.state.genesis import add_programs, genesis_accounts, genesis_position
from chain.local.state.keys import local_keys
from chain.local.state.store import Position, SlotBatch, StoreReader, open_database, write
from chain.local.state.writer import Writer

log = structlog.get_logger()

DATABASE, LOCK = "chain.sqlite", "lock"
STOP_WITHIN_S = 3.0
BEHIND_SLOTS = 42


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """`programs` are loaded from their files at every start."""

    directory: Path
    slot_ms: int = SLOT_MS
    faults: Faults = NO_FAULTS
    programs: Mapping[Pubkey, Path] = field(default_factory=dict)


class Listener(Protocol):
    """Hears what happens, on the event loop of the node."""

    def on_landed(self, landed: Landed) -> None: ...
    def on_slot(self) -> None: ...
    def on_rolled_back(self, slot: int) -> None: ...


class Node:
    """Everything but the wire. All methods run on one event loop; none of them waits for the disk."""

    def __init__(self, config: NodeConfig) -> None:
        self.faults = config.faults
        self.listener: Listener | None = None
        self.failed: asyncio.Future[Exception] | None = None
        self.fees = RecentFees()
        self._config = config
        self._landed: list[Landed] = []
        self._accounts: OrderedDict[Pubkey, Account | None] = OrderedDict()
        # Slots that are being written, with the last slot that each reserves.
        self._writing: deque[tuple[int, int]] = deque()
        self._written = asyncio.Event()
        self._delayed = 0
        self._files: list[sqlite3.Connection | IO[str]] = []
        self._ticking: asyncio.Task[None] | None = None

    @property
    def slot_ms(self) -> int:
        return self._config.slot_ms

    # Start and stop

    def open(self) -> None:
        """Load the state, or make a new chain. Takes a second for 300,000 accounts. Raises StartFailed."""
        directory = self._config.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files.append(_locked(directory / LOCK))
        try:
            self._load(directory)
        except BaseException:
            self.release()
            raise

    def _load(self, directory: Path) -> None:
        keys = local_keys(directory)
        self.faucet = Faucet(keys)
        self._connection = open_database(directory / DATABASE)
        self._files.append(self._connection)
        reading = open_database(directory / DATABASE)
        self._files.append(reading)
        self.reader = StoreReader(reading)
        svm = new_svm()
        before = self.reader.position()
        start = genesis_position() if before is None else _behind(before)
        self.blocks = Blocks(start.genesis, start.slot, start.height)
        self.bank = Bank(self.blocks, svm)
        self.bank.transaction_count = start.transaction_count
        accounts = list(genesis_accounts(keys, svm)) if before is None else []
        for address, account in accounts or self.reader.accounts():
            self.bank.restore(address, account)
        add_programs(svm, self._config.programs)
        self.bank.statuses.update(self.reader.statuses(self.blocks.slot - 3 * BLOCKHASH_AGE_MAX))
        write(self._connection, [self._batch(self.blocks.slot - 1, tuple(accounts))])
        self._reserved_to = self.blocks.slot - 1 + RESERVED

    async def start(self) -> None:
        """Begin to produce slots. The state has to be open."""
        loop = asyncio.get_running_loop()
        self.failed = loop.create_future()
        self._writer = Writer(
            self._connection,
            lambda slot: _call(loop, self._on_durable, slot),
            lambda error: _call(loop, self._on_failure, error),
        )
        self._writer.start()
        self._ticking = asyncio.create_task(self._tick_for_ever(), name="chain-slots")

    async def stop(self) -> None:
        """Write what has landed, and end."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
            if not self._writer.is_full:
                self._close_slot()
            await asyncio.to_thread(self._writer.stop, STOP_WITHIN_S)
        self.release()

    def release(self) -> None:
        """Close the files. What was not written is lost, as in a crash."""
        while self._files:
            self._files.pop().close()

    # Transactions

    async def send(self, transaction: Received, *, preflight: bool) -> Signature:
        """What sendTransaction does. Raises RpcError, and AnswerLost as a fault."""
        if happens(self.faults.reject_rate):
            raise behind()
        if preflight:
            verify(transaction)
            self._check(transaction)
        elif not all(transaction.transaction.verify_with_results()):
            return transaction.signature  # accepted without a look, never part of a block
        if not happens(self.faults.drop_rate):
            self._schedule(transaction)
        if happens(self.faults.lose_answer_rate):
            raise AnswerLost
        return transaction.signature

    def airdrop(self, owner: Pubkey, lamports: int) -> Signature:
        """SOL from the faucet. Raises RpcError."""
        return self._faucet_sends(self.faucet.lamports(owner, lamports, self._blockhash()))

    def airdrop_usdc(self, owner: Pubkey, amount: int) -> Signature:
        """New USDC. Raises RpcError."""
        return self._faucet_sends(self.faucet.usdc(owner, amount, self._blockhash()))

    def status(self, signature: Signature, *, search_history: bool) -> Status | None:
        """The status of a transaction: recent ones from memory, older ones from the history."""
        found = self.bank.statuses.get(signature)
        return self.reader.status(signature) if found is None and search_history else found

    def roll_back(self, slots: int) -> list[Signature]:
        """Undo the last slots, as a fork does that loses. Raises RpcError if one of them is finalized or being written.

        The same transactions can land again: their blockhashes stay valid.
        """
        target = self.blocks.slot - slots
        if not self.blocks.slot_at("finalized") <= target < self.blocks.slot:
            raise RpcError(INVALID_PARAMS, "only slots that are not finalized can be rolled back")
        if self._writer.is_full or self.blocks.slot + 1 > self._reserved_to:
            raise behind()
        undone, changes = self.bank.roll_back(target)
        self._landed.clear()
        self._accounts.update((change.address, change.after) for change in changes)
        self._submit(target)
        if self.listener is not None:
            self.listener.on_rolled_back(target)
        self.bank.advance()
        self._set_durable()
        log.warning("rolled_back", to_slot=target, transactions=len(undone))
        return undone

    # Slots

    def tick(self) -> bool:
        """The next slot. False if the chain stalls: on purpose, or because the disk does not follow."""
        if self.faults.stalled or self._writer.is_full or self.blocks.slot + 1 > self._reserved_to:
            return False
        self._close_slot()
        self.bank.advance()
        self._set_durable()
        if self.listener is not None:
            self.listener.on_slot()
        return True

    async def on_disk(self) -> None:
        """Wait until every slot that has ended is on disk."""
        while self._writing:
            self._written.clear()
            await self._written.wait()

    async def _tick_for_ever(self) -> None:
        loop, period = asyncio.get_running_loop(), self._config.slot_ms / 1000
        due = loop.time()
        while True:
            due = max(due + period, loop.time())
            await asyncio.sleep(due - loop.time())
            self.tick()

    def _close_slot(self) -> None:
        reserved = self._writing[-1][1] if self._writing else self._reserved_to
        if self._landed or self._accounts or reserved - self.blocks.slot < RESERVED // 2:
            self._submit(None)

    def _submit(self, rolled_back_to: int | None) -> None:
        slot = self.blocks.slot
        batch = self._batch(slot, tuple(self._accounts.items()), tuple(self._landed), rolled_back_to)
        self._writer.submit(batch)
        self._writing.append((slot, batch.position.slot))
        self._landed.clear()
        self._accounts.clear()

    def _batch(
        self,
        slot: int,
        accounts: tuple[tuple[Pubkey, Account | None], ...],
        landed: tuple[Landed, ...] = (),
        rolled_back_to: int | None = None,
    ) -> SlotBatch:
        blocks = self.blocks
        height = blocks.height + slot - blocks.slot
        position = Position(blocks.genesis, slot + RESERVED, height + RESERVED, self.bank.transaction_count)
        return SlotBatch(position, slot, height, int(time.time()), landed, accounts, rolled_back_to)

    def _on_durable(self, slot: int) -> None:
        while self._writing and self._writing[0][0] <= slot:
            self._reserved_to = self._writing.popleft()[1]
        self._set_durable()
        self._written.set()

    def _set_durable(self) -> None:
        self.blocks.durable_slot = (self._writing[0][0] if self._writing else self.blocks.slot) - 1

    def _on_failure(self, error: Exception) -> None:
        if self.failed is not None and not self.failed.done():
            self.failed.set_result(error)

    # Landing

    def _check(self, transaction: Received) -> None:
        simulated = self.bank.simulate(transaction)
        if simulated.error is not None:
            message = f"Transaction simulation failed: {error_sentence(simulated.error)}"
            raise RpcError(PREFLIGHT_FAILURE, message, simulation_json(simulated))

    def _schedule(self, transaction: Received) -> None:
        if not self.faults.delay_ms:
            self._land(transaction)
        elif self._delayed < DELAYED_MAX:
            self._delayed += 1
            asyncio.get_running_loop().call_later(self.faults.delay_ms / 1000, self._land_late, transaction)

    def _land_late(self, transaction: Received) -> None:
        self._delayed -= 1
        self._land(transaction)

    def _land(self, transaction: Received) -> Landed | None:
        """None: it is not part of a block, and nobody is told, as on a public cluster."""
        if self.faults.stalled or self._writer.is_full:
            return None
        result = self.bank.execute(transaction)
        if not isinstance(result, Landed):
            return None
        self._landed.append(result)
        self._accounts.update((change.address, change.after) for change in result.changes)
        self.fees.record(self.blocks.slot, transaction)
        if self.listener is not None:
            self.listener.on_landed(result)
        return result

    def _faucet_sends(self, raw: bytes) -> Signature:
        landed = self._land(received(base64.b64encode(raw).decode(), "base64"))
        if landed is None:
            raise behind()
        if landed.error is not None:
            raise RpcError(INTERNAL_ERROR, f"airdrop request failed: {error_sentence(landed.error)}")
        return landed.signature

    def _blockhash(self) -> Hash:
        return self.blocks.hash_at(self.blocks.height_at(_FAUCET_COMMITMENT))


_FAUCET_COMMITMENT: Commitment = "confirmed"


def behind() -> RpcError:
    """The error of a node that lags."""
    return RpcError(NODE_UNHEALTHY, f"Node is behind by {BEHIND_SLOTS} slots", {"numSlotsBehind": BEHIND_SLOTS})


def _behind(before: Position) -> Position:
    """Behind all that was told before; what was confirmed then is final now, since nothing can undo it any more."""
    return Position(before.genesis, before.slot + FINALIZED_AFTER_SLOTS, before.height, before.transaction_count)


def _locked(path: Path) -> IO[str]:
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with closing(handle):
            raise StartFailed(f"another process uses {path.parent}") from None
    os.set_inheritable(handle.fileno(), False)
    return handle


def _call(loop: asyncio.AbstractEventLoop, call: object, argument: object) -> None:
    """From the writer's thread; the loop may have ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, argument)  # type: ignore[arg-type]
