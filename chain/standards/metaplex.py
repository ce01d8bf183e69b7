"""Assets of Metaplex Core: one account each, which the program moves; royalties as a plugin.

The program wants the new account to sign its creation. Its key is derived from a secret and the key of the job, so the
address is a function of both, and creating it twice fails. After the creation that key has no rights.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.bundle import Bundle
from chain.programs import metaplex
from chain.signing import LocalSigner, Signer, SignerRefused
from chain.standards.standard import AssetTerms, ChainAsset, CollectionTerms, Standard

# Measured with the program: 13,000 compute units without plugins.
CREATE_UNITS, TRANSFER_UNITS = 40_000, 20_000
# Creating calls the system program; each of three growths for a plugin does, too.
CREATE_TRACE, PLUGIN_TRACE, TRANSFER_TRACE = 2, 3, 1
# No transaction begins with this byte: a signature over it signs nothing else.
_DERIVATION = b"\xffECE: keys of Metaplex Core accounts, version 1"


class NoSecret(Exception):
    """Without the secret, accounts can be read and moved, not created."""


async def metaplex_secret(authority: Signer) -> bytes:
    """The secret of this mint authority: of its signature, which is the same every time. Raises SignerRefused."""
    first, second = await authority.sign(_DERIVATION), await authority.sign(_DERIVATION)
    if first != second:
        raise SignerRefused("the signer signs the same bytes in different ways: no keys can be derived from it")
    return sha256(bytes(first)).digest()


class MetaplexStandard(Standard):
    """A collection's size is limited by the engine alone: the program has no limit."""

    name = "core"
    program = metaplex.MPL_CORE
    # The first byte of an asset is 1, in base58 "2".
    holder_filters = ({"memcmp": {"offset": 0, "bytes": "2", "encoding": "base58"}},)
    holder_bytes = metaplex.OWNER_BYTES

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret

    @property
    def can_create(self) -> bool:
        return self._secret is not None

    def asset_address(self, authority: Pubkey, key: str) -> Pubkey:
        return self._keypair(authority, f"asset:{key}").pubkey()

    def collection_address(self, authority: Pubkey, key: str) -> Pubkey:
        return self._keypair(authority, f"collection:{key}").pubkey()

    def asset_signers(self, authority: Pubkey, key: str) -> tuple[Signer, ...]:
        return (LocalSigner(self._keypair(authority, f"asset:{key}")),)

    def collection_signers(self, authority: Pubkey, key: str) -> tuple[Signer, ...]:
        return (LocalSigner(self._keypair(authority, f"collection:{key}")),)

    def _keypair(self, authority: Pubkey, key: str) -> Keypair:
        if self._secret is None:
            raise NoSecret
        return Keypair.from_seed(hmac.digest(self._secret, bytes(authority) + key.encode(), "sha256"))

    def collection_bytes(self, terms: CollectionTerms) -> int:
        return metaplex.collection_bytes(terms.name, terms.uri, terms.royalty_basis_points)

    def asset_bytes(self, terms: AssetTerms) -> int:
        return metaplex.asset_bytes(terms.name, terms.uri, terms.royalty_basis_points)

    def create_collection(
        self, payer: Pubkey, authority: Pubkey, key: str, terms: CollectionTerms, rents: Mapping[int, int]
    ) -> Bundle:
        """The program reads the rent itself."""
        address = self.collection_address(authority, key)
        instruction = metaplex.create_collection(
            address, authority, payer, terms.name, terms.uri, terms.royalty_basis_points
        )
        return Bundle((instruction,), frozenset([address]), _trace(terms.royalty_basis_points), CREATE_UNITS)

    def mint(
        self, payer: Pubkey, authority: Pubkey, key: str, owner: Pubkey, terms: AssetTerms, rents: Mapping[int, int]
    ) -> Bundle:
        """The program reads the rent itself."""
        address = self.asset_address(authority, key)
        instruction = metaplex.create_asset(
            address, terms.collection, authority, payer, owner, terms.name, terms.uri, terms.royalty_basis_points
        )
        signers = {address} if terms.collection is None else {address, authority}
        return Bundle((instruction,), frozenset(signers), _trace(terms.royalty_basis_points), CREATE_UNITS)

    def transfer(
        self, payer: Pubkey, asset: Pubkey, collection: Pubkey | None, source_owner: Pubkey, new_owner: Pubkey
    ) -> Bundle:
        instruction = metaplex.transfer(asset, collection, payer, source_owner, new_owner)
        return Bundle((instruction,), frozenset([source_owner]), TRANSFER_TRACE, TRANSFER_UNITS)

    def parse_asset(self, data: bytes) -> ChainAsset | None:
        try:
            found = metaplex.parse_asset(data)
        except metaplex.NotMetaplex:
            return None
        return ChainAsset(found.name, "", found.uri, found.collection, found.royalty_basis_points or 0)

    def holding_address(self, asset: Pubkey, owner: Pubkey) -> Pubkey:
        return asset

    def holds(self, data: bytes, asset: Pubkey, owner: Pubkey) -> bool:
        try:
            return metaplex.parse_asset(data).owner == owner
        except metaplex.NotMetaplex:
            return False

    def holder_in(self, address: Pubkey, data: bytes) -> tuple[Pubkey, Pubkey] | None:
        owner = metaplex.owner_of(data)
        return None if owner is None else (address, Pubkey.from_string(owner))


def _trace(royalty_basis_points: int) -> int:
    return CREATE_TRACE + (PLUGIN_TRACE if royalty_basis_points else 0)
