"""The port to the jobs of the minting pool: what wallets ask it to send, always in a transaction of their own."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.chain.rows import ChainJobRow

# Kinds of their own, because each has other effects. A failed withdrawal has given back what it took, so it is never
# tried again.
WITHDRAWAL = "withdrawal"
SWEEP = "sweep"
CARD_WITHDRAWAL = "card_withdrawal"


class TokenTransfer(msgspec.Struct, frozen=True):
    """The payload of a transfer of money. It is signed by the treasury, or by the wallet of ``source_user``.

    ``amount`` is base units of ``currency``. ``destination`` is the address of a wallet, base58; its token account is
    made where there is none.
    """

    currency: str
    amount: int
    destination: str
    source_user: int | None = None


class AssetTransfer(msgspec.Struct, frozen=True):
    """The payload of a transfer of a card: from the wallet of ``source_user`` to an address."""

    copy: int
    destination: str
    source_user: int


# Adds jobs in the transaction of this connection; those that are there already stay as they are.
AddChainJobs = Callable[[PoolConnectionProxy, Sequence[ChainJobRow]], Awaitable[None]]


def job_row(kind: str, key: str, payload: TokenTransfer | AssetTransfer) -> ChainJobRow:
    """A job with its payload encoded."""
    return ChainJobRow(kind, key, msgspec.json.encode(payload))


_INSERT = """
    INSERT INTO chain_jobs (kind, key, payload) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
    ON CONFLICT (kind, key) DO NOTHING
"""


async def add_chain_jobs(connection: PoolConnectionProxy, jobs: Sequence[ChainJobRow]) -> None:
    """Add jobs to the pool's queue, in the transaction of this connection."""
    columns = [[job.kind for job in jobs], [job.key for job in jobs], [job.payload for job in jobs]]
    await connection.execute(_INSERT, *columns)
