"""The stores of the routes about minting."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from persistence.chain.status import ChainStatus
from persistence.minting.ownership import Ownership
from persistence.minting.reading import Mints
from persistence.minting.requests import MintRequests

TOKEN_2022, CORE = "token-2022", "core"


class ReadsHolders(Protocol):
    """``chain.wallets.holdings.Holdings``. May raise ChainError."""

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> Sequence[tuple[str | None, int]]: ...


@dataclass(frozen=True)
class Minting:
    """``holdings`` reads the chain; None: this engine has none. ``standards``: those whose programs the chain has."""

    requests: MintRequests
    mints: Mints
    status: ChainStatus
    ownership: Ownership
    holdings: ReadsHolders | None
    standards: frozenset[str] = frozenset({TOKEN_2022})

    @property
    def chain(self) -> bool:
        """Whether this engine has a chain."""
        return self.holdings is not None
