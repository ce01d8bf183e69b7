"""What fits into a transaction depends on its version, which is asked for before the first jobs are packed."""

import math
import uuid
from typing import Any

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from actors.minting.assembler import TransactionAssembler
from actors.minting.kinds.kind import Ready
from actors.minting.pipeline import Pipeline
from chain.rpc.answers import RecentBlockhash, Simulation
from chain.rpc.errors import TransactionRejected
from chain.signing import LocalSigner
from chain.standards.standard import AssetTerms
from chain.standards.token_2022 import Token2022
from chain.transactions.packing import BYTES_MAX
from persistence.chain.rows import ChainJob, SignedRow

STANDARD, PAYER, AUTHORITY = Token2022(), LocalSigner(Keypair()), LocalSigner(Keypair())
JOBS = 8


class Rpc:
    """A chain that takes version 0 alone, or version 1, too."""

    def __init__(self, version: int) -> None:
        self._version = version

    async def latest_blockhash(self) -> RecentBlockhash:
        return RecentBlockhash(Hash.default(), 100)

    async def priority_fee(self, writable: Any) -> int:
        return 0

    async def simulate(self, raw: bytes) -> Simulation:
        if self._version == 0:
            raise TransactionRejected("simulateTransaction: failed to deserialize")
        return Simulation(None, 1_000, [])


def mint(number: int) -> Ready:
    job = ChainJob(number, "mint", str(number), b"", 0, 0, 64, None, uuid.uuid4())
    terms = AssetTerms("Card #1", "BASE", "ipfs://" + "b" * 59, Keypair().pubkey(), 500)
    owner: Pubkey = Keypair().pubkey()
    rents = {STANDARD.asset_bytes(terms): 1}
    return Ready(job, STANDARD.mint(PAYER.address, AUTHORITY.address, job.key, owner, terms, rents))


@pytest.mark.parametrize("version", [0, 1])
async def test_the_first_transactions_of_an_actor_are_not_too_large(version: int):
    parts: Any = (None, None, TransactionAssembler(Rpc(version), PAYER, [AUTHORITY]))  # type: ignore[arg-type]
    signed, _ = await Pipeline(*parts, [], PAYER.address, "actor")._sign(
        [mint(number) for number in range(JOBS)], math.inf
    )
    assert [len(row.raw) for row in signed if len(row.raw) > BYTES_MAX[version]] == []
    assert sorted(_jobs(signed)) == list(range(JOBS))


def _jobs(signed: list[SignedRow]) -> list[int]:
    return [job for row in signed for job in row.jobs]
