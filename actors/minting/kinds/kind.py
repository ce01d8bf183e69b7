"""The base of all kinds of jobs for the chain. A new kind is a subclass, and one line in ``actors/minting/pool.py``.

A job is prepared after it was claimed: its kind builds the instructions that do it. It may be prepared several times,
by several actors, and every time it has to lead to the same effect on the chain, at most once.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from solders.pubkey import Pubkey

from chain.bundle import Bundle
from chain.signing import Signer
from persistence.chain.rows import ChainJob, DoneJob, PoisonedJob

# A connection in whose transaction something is recorded; only the stores know what it is.
Connection = Any
Record = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ready:
    """A job with the instructions that do it.

    ``signers``: keys beside the platform's own; ``detail``: what its kind wants to record of it.
    ``fills_gaps``: it goes into what other jobs leave free in their transactions, or behind these.
    ``together``: it is in one transaction with all others of the same number, where they fit.
    """

    job: ChainJob
    bundle: Bundle
    signers: Sequence[Signer] = field(default=(), repr=False)
    detail: Any = None
    fills_gaps: bool = False
    together: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is done on the chain, for good, as of this slot."""

    job: ChainJob
    slot: int


@dataclass(frozen=True, slots=True)
class Unfit:
    """A job that can't be done as it is, and why."""

    job: ChainJob
    reason: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """A job that can't be done at this time: it is claimed again after ``delay_ms``."""

    job: ChainJob
    delay_ms: int


Prepared = Ready | Finished | Unfit | NotYet


class Kind(ABC):
    """One kind of job for the chain."""

    kind: ClassVar[str]
    # The most jobs of one claim.
    claim_max: ClassVar[int] = 64

    @abstractmethod
    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        """Build each of these jobs. ``payer`` pays fees and rent. May raise StoreUnavailable, ChainError, OSError.

        ``attempts`` of a job above 0: earlier transactions may have done it. They can't land any more.
        """

    def signed(self, jobs: Sequence[Ready]) -> Record | None:
        """What to record in the transaction that stores the signed transactions of these jobs."""
        return None

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:  # noqa: B027
        """Record what follows, in the transaction that ends these jobs: they are done, for good."""

    async def poisoned(self, connection: Connection, jobs: Sequence[PoisonedJob]) -> None:  # noqa: B027
        """Record what follows, in the transaction that ends these jobs: they are not tried again."""
