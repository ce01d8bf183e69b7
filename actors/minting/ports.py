"""What the pipeline needs of the chain, and of what signs transactions for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.minting.kinds.kind import Ready
from domain.minting.landing import Seen
from persistence.chain.rows import SignedRow


class ChainFault(Exception):
    """The chain, or a signer, did not answer or not as it should: try again later. Nothing is known to be done."""


class WouldFail(Exception):
    """A simulation says that this transaction would fail. The message is why."""


@dataclass(frozen=True, slots=True)
class Final:
    """How far the chain is final."""

    height: int
    slot: int


class Chain(Protocol):
    """The chain as the follower of transactions sees it. Every method may raise ChainFault."""

    async def final(self) -> Final:
        """How far the chain is final."""

    async def send(self, raw: bytes) -> None:
        """Hand over a transaction. Whether it lands is another question."""

    async def seen(self, signatures: Sequence[str], *, search_history: bool = False) -> list[Seen | None]:
        """What the chain knows of these transactions."""


class Assembler(Protocol):
    """Makes transactions of prepared jobs. ``sign`` may raise ChainFault and WouldFail, ``version`` ChainFault."""

    async def version(self) -> int:
        """The version of transactions that the chain takes. ``pack`` takes it for 1 before that is known."""

    def pack(self, jobs: Sequence[Ready]) -> list[list[Ready]]:
        """As few batches as fit into one transaction each; no batch exceeds the ``batch_max`` of its jobs."""

    async def sign(self, batch: Sequence[Ready], *, simulate: bool) -> SignedRow:
        """A signed transaction; with ``simulate`` only if it would succeed now."""
