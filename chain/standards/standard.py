"""The interface of standards: how an asset is created, moved and read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from solders.pubkey import Pubkey

from chain.bundle import Bundle
from chain.signing import Signer

NAME_BYTES_MAX, SYMBOL_BYTES_MAX, URI_BYTES_MAX = 32, 10, 200
BASIS_POINTS_MAX = 10_000


class InvalidTerms(ValueError):
    """A text is too long, or a royalty is more than the price: nothing can be built."""


@dataclass(frozen=True, slots=True)
class AssetTerms:
    """An asset. ``collection``: of which it is a member."""

    name: str
    symbol: str
    uri: str
    collection: Pubkey | None = None
    royalty_basis_points: int = 0

    def __post_init__(self) -> None:
        _check(self.name, self.symbol, self.uri, self.royalty_basis_points)


@dataclass(frozen=True, slots=True)
class CollectionTerms:
    """A collection of at most ``max_size`` assets."""

    name: str
    symbol: str
    uri: str
    max_size: int
    royalty_basis_points: int = 0

    def __post_init__(self) -> None:
        _check(self.name, self.symbol, self.uri, self.royalty_basis_points)


@dataclass(frozen=True, slots=True)
class ChainAsset:
    """An asset as its account has it; ``collection`` None: of none."""

    name: str
    symbol: str
    uri: str
    collection: Pubkey | None
    royalty_basis_points: int


class Standard(ABC):
    """Addresses are functions of the authority and a key, so minting a key twice fails. Rents are by size."""

    name: ClassVar[str]
    # The owner of the accounts of assets and collections: data of others must not be read as such.
    program: ClassVar[Pubkey]
    # The accounts of the program that say who has an asset, as filters of RPC; it shows in their first bytes.
    holder_filters: ClassVar[Sequence[Mapping[str, Any]]]
    holder_bytes: ClassVar[int]

    @property
    def can_create(self) -> bool:
        """Whether it has what it needs to create assets; to read and to move them it needs nothing."""
        return True

    @abstractmethod
    def asset_address(self, authority: Pubkey, key: str) -> Pubkey:
        """Where the asset of this key is."""

    @abstractmethod
    def collection_address(self, authority: Pubkey, key: str) -> Pubkey:
        """Where the collection of this key is."""

    def asset_signers(self, authority: Pubkey, key: str) -> tuple[Signer, ...]:
        """Keys that have to sign the creation, beside those of the platform."""
        return ()

    def collection_signers(self, authority: Pubkey, key: str) -> tuple[Signer, ...]:
        """Keys that have to sign the creation, beside those of the platform."""
        return ()

    @abstractmethod
    def collection_bytes(self, terms: CollectionTerms) -> int:
        """The size of its account."""

    @abstractmethod
    def asset_bytes(self, terms: AssetTerms) -> int:
        """The size of its account."""

    @abstractmethod
    def create_collection(
        self, payer: Pubkey, authority: Pubkey, key: str, terms: CollectionTerms, rents: Mapping[int, int]
    ) -> Bundle:
        """Create it; ``rents`` has the lamports for its size."""

    @abstractmethod
    def mint(
        self, payer: Pubkey, authority: Pubkey, key: str, owner: Pubkey, terms: AssetTerms, rents: Mapping[int, int]
    ) -> Bundle:
        """Create the asset for ``owner``; ``rents`` has the lamports for its size."""

    @abstractmethod
    def transfer(
        self, payer: Pubkey, asset: Pubkey, collection: Pubkey | None, source_owner: Pubkey, new_owner: Pubkey
    ) -> Bundle:
        """Move the asset from one wallet to another."""

    @abstractmethod
    def parse_asset(self, data: bytes) -> ChainAsset | None:
        """The asset in the data of its account; None for other data."""

    @abstractmethod
    def holding_address(self, asset: Pubkey, owner: Pubkey) -> Pubkey:
        """The account that says whether ``owner`` has the asset."""

    @abstractmethod
    def holds(self, data: bytes, asset: Pubkey, owner: Pubkey) -> bool:
        """Whether the data of that account say that ``owner`` has it."""

    @abstractmethod
    def holder_in(self, address: Pubkey, data: bytes) -> tuple[Pubkey, Pubkey] | None:
        """(asset, who has it) of an account that passes ``holder_filters``, by its first ``holder_bytes``."""


def _check(name: str, symbol: str, uri: str, royalty_basis_points: int) -> None:
    for what, text, longest in (
        ("name", name, NAME_BYTES_MAX), ("symbol", symbol, SYMBOL_BYTES_MAX), ("uri", uri, URI_BYTES_MAX)
    ):  # fmt: skip
        if len(text.encode()) > longest:
            raise InvalidTerms(f"the {what} has more than {longest} bytes")
    if not 0 <= royalty_basis_points <= BASIS_POINTS_MAX:
        raise InvalidTerms("the royalty is more than the price")
