"""Minted copies in custody on a real PostgreSQL, and a chain that lands and loses transactions as it is told."""

import itertools
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from actors.minting.kinds.kind import Finished, NotYet, Prepared, Ready, Unfit
from actors.minting.kinds.move import MoveAssets
from actors.minting.pipeline import KindEffects
from chain.programs.tokens import ACCOUNT_BYTES
from chain.rpc.answers import Accounts, AccountState
from chain.signing import LocalSigner
from chain.standards.token_2022 import Token2022
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from persistence.chain.jobs import ChainJobs
from persistence.chain.rows import ChainJob, DoneJob, OpenTransaction, Outcome, PoisonedJob, SignedRow
from persistence.jobs.store import LeaseLost
from persistence.minting.moves import MOVE, Moves
from persistence.minting.ownership import Ownership
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies
from persistence.wallets.custody import CustodialWallets

NOW = 1_800_000_000_000
STANDARD = Token2022()
PAYER = Keypair().pubkey()
AUCTION = 77

_numbers = itertools.count(1)


class Sent(msgspec.Struct):
    """A transaction of one move. ``outcome`` None: neither landed nor expired yet."""

    transaction: OpenTransaction
    asset: str
    source: str
    destination: str
    outcome: Outcome | None = None


class FakeChain:
    """Who holds which asset, all of it final. Also ``actors.minting.kinds.move.ReadsAccounts``."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.slot = 100
        self.sent: list[Sent] = []
        self.failures = 0

    async def accounts(self, addresses: Sequence[Pubkey], **_: Any) -> Accounts:
        return Accounts(self.slot, [self._account(address) for address in addresses])

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> list[tuple[str | None, int]]:
        return [(self.held.get(asset), self.slot) for _, asset, _ in held]

    def land(self, sent: Sent) -> None:
        """It is in a block: it moves the asset, or fails since its source does not have it."""
        self.slot += 1
        if self.held[sent.asset] == sent.source:
            self.held[sent.asset] = sent.destination
            sent.outcome = Outcome(sent.transaction.id, "landed", self.slot)
        else:
            self.failures += 1
            sent.outcome = Outcome(sent.transaction.id, "failed", self.slot, "insufficient funds")

    def expire(self, sent: Sent) -> None:
        """It can never land."""
        sent.outcome = Outcome(sent.transaction.id, "expired")

    def _account(self, address: Pubkey) -> AccountState | None:
        for asset, holder in self.held.items():
            mint, owner = Pubkey.from_string(asset), Pubkey.from_string(holder)
            if STANDARD.holding_address(mint, owner) == address:
                data = bytes(mint) + bytes(owner) + (1).to_bytes(8, "little")
                return AccountState(1, owner, data.ljust(ACCOUNT_BYTES, b"\0"))
        return None


class CustodyScene:
    """People with wallets, their copies, and an actor that moves them."""

    def __init__(self, pool: Pool, claim_lease_ms: int = 15_000) -> None:
        self.pool = pool
        self.chain = FakeChain()
        self.vault = LocalSigner(Keypair())
        self.jobs = ChainJobs(pool, claim_lease_ms=claim_lease_ms)
        self.custodial = CustodialWallets(pool)
        self.wallets = Wallets(self.custodial, KeyCipher(lambda: ["s" * 40]))
        rpc: Any = self.chain
        self.kind = MoveAssets(Moves(pool), rpc, self.wallets, self.custodial, self.vault)
        self.effects = KindEffects({MOVE: self.kind})
        self.ownership = Ownership(pool)
        self.poisoned: list[str] = []

    async def person(self) -> int:
        user: int = await self.pool.fetchval(
            "INSERT INTO users (user_id, username, email, email_key)"
            " SELECT id, 'u' || id, 'u' || id || '@x.example', 'u' || id || '@x.example'"
            " FROM next_id() AS id RETURNING user_id"
        )
        return user

    async def wallet(self, user: int) -> str:
        return str(await self.wallets.custodial_address(user))

    async def copy(self, owner: int, state: str = "minted", edition: int = 1) -> int:
        """A copy of a new card; its asset is in the wallet of its owner."""
        copy: int = await self.pool.fetchval(
            "WITH s AS (INSERT INTO card_sets (code, name) SELECT 's' || next_id(), 'Set' RETURNING set_id), k AS ("
            " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)"
            " SELECT set_id, '1', 'Card', 'rare', 1, $1, $1 FROM s RETURNING card_id), c AS ("
            " INSERT INTO copies (card_id, serial, owner_id, acquired_at) SELECT card_id, $3, $2, $1 FROM k"
            " RETURNING copy_id, owner_id), p AS ("
            " INSERT INTO provenance (copy_id, seq, at, reason, to_owner)"
            " SELECT copy_id, 1, $1, 'made', owner_id FROM c)"
            " SELECT copy_id FROM c",
            NOW, owner, edition,
        )  # fmt: skip
        asset, holder = str(Keypair().pubkey()), await self.wallet(owner)
        job = await self.pool.fetchval(
            "INSERT INTO chain_jobs (kind, key, state) VALUES ('mint', $1, 'done') RETURNING job_id", str(copy)
        )
        await self.pool.execute(
            "INSERT INTO assets (copy_id, standard, job_id, address, holder, holder_slot, state)"
            " VALUES ($1, 'token-2022', $2, $3, $4, 10, $5)",
            copy, job, asset, holder, state,
        )  # fmt: skip
        self.chain.held[asset] = holder
        return copy

    async def asset(self, copy: int) -> str:
        address: str = await self.pool.fetchval("SELECT address FROM assets WHERE copy_id = $1", copy)
        return address

    async def minted(self, copy: int, slot: int = 20, connection: Any = None) -> None:
        await (connection or self.pool).execute(
            "UPDATE assets SET state = 'minted', holder_slot = $2 WHERE copy_id = $1", copy, slot
        )

    # What changes where a copy belongs

    async def give(self, copy: int, to: int, connection: Any = None) -> None:
        await (connection or self.pool).execute("UPDATE copies SET owner_id = $2 WHERE copy_id = $1", copy, to)

    async def put_up(self, copy: int, auction: int = AUCTION, connection: Any = None) -> None:
        await (connection or self.pool).execute(
            "UPDATE copies SET place = 'listed', locked_by = $2, locked_at = $3 WHERE copy_id = $1", copy, auction, NOW
        )

    async def take_down(self, copy: int, owner: int | None = None) -> None:
        """The auction has ended; ``owner`` has bought it."""
        await self.pool.execute(
            "UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL, owner_id = coalesce($2, owner_id)"
            " WHERE copy_id = $1",
            copy, owner,
        )  # fmt: skip

    # What an actor does

    async def claim(self) -> list[ChainJob]:
        await self.pool.execute("UPDATE chain_jobs SET not_before = 0 WHERE state = 'queued' AND claim IS NULL")
        return await self.jobs.claim({MOVE: 16}, f"actor {next(_numbers)}")

    async def prepared(self) -> list[Prepared]:
        return await self.kind.prepare(await self.claim(), PAYER)

    async def sign(self, prepared: Sequence[Prepared]) -> list[Sent]:
        """End what needs no transaction; sign and store the rest, each in its own. What another actor has is left."""
        done = [DoneJob(one.job, one.slot, None) for one in prepared if isinstance(one, Finished)]
        unfit = [PoisonedJob(one.job, one.reason) for one in prepared if isinstance(one, Unfit)]
        self.poisoned += [one.reason for one in unfit]
        await self.jobs.finish_claimed(done, unfit, self.effects)
        sent = []
        for one in prepared:
            if isinstance(one, NotYet):
                await self.jobs.put_back([one.job], 0)
            elif isinstance(one, Ready):
                try:
                    sent.append(await self._signed(one))
                except LeaseLost:
                    continue
        self.chain.sent += sent
        return sent

    async def record(self, sent: Sent) -> None:
        """What the actor does about a final outcome."""
        assert sent.outcome is not None
        await self.jobs.finish([sent.outcome], self.effects)
        self.chain.sent.remove(sent)

    async def drain(self) -> None:
        """Everything that is queued or signed is done, and lands at once."""
        for _ in range(50):
            for sent in list(self.chain.sent):
                if sent.outcome is None:
                    self.chain.land(sent)
                await self.record(sent)
            await self.pool.execute("UPDATE chain_jobs SET claim = NULL, worker = NULL WHERE state = 'queued'")
            await self.sign(await self.prepared())
            left = await self.pool.fetchval(
                "SELECT count(*) FROM chain_jobs WHERE kind = 'move' AND state IN ('queued', 'signed')"
            )
            if not left:
                return
        raise AssertionError(f"{left} jobs never end")

    async def _signed(self, one: Ready) -> Sent:
        [signer] = one.signers
        copy, destination = one.detail
        row = SignedRow(f"{Hash.new_unique()}{next(_numbers)}", b"raw", str(PAYER), 1, (one.job.id,))
        assert one.job.claim is not None
        [stored] = await self.jobs.store_signed(one.job.claim, [row], "actor", self.kind.signed([one]))
        return Sent(stored, await self.asset(copy), str(signer.address), destination)

    # What is seen

    async def signed_at_once(self) -> int:
        """The most signed transactions that one copy has."""
        rows = await self.pool.fetch("SELECT moved_copy FROM chain_jobs WHERE kind = 'move' AND state = 'signed'")
        return max(Counter(row[0] for row in rows).values(), default=0)

    async def moves(self, copy: int) -> list[str]:
        """The states of its jobs, in order."""
        rows = await self.pool.fetch("SELECT state FROM chain_jobs WHERE moved_copy = $1 ORDER BY job_id", copy)
        return [row[0] for row in rows]

    async def row(self, copy: int) -> SimpleNamespace:
        row = await self.pool.fetchrow(
            "SELECT owner_id, place, locked_by, provenance_seq, holder, holder_slot, moving_to"
            " FROM copies JOIN assets USING (copy_id) WHERE copy_id = $1",
            copy,
        )
        assert row is not None
        return SimpleNamespace(**dict(row))

    async def belongs_to(self, copy: int) -> str:
        """The wallet where the copy belongs."""
        row = await self.row(copy)
        return str(self.vault.address) if row.place == "listed" else await self.wallet(row.owner_id)

    async def reasons(self, copy: int) -> list[str]:
        return [change.reason for change in await Copies(self.pool).provenance(copy, 0, 100)]
