"""Assets as mints of Token-2022: supply 1, metadata in the mint, membership in a group, no mint authority."""

from collections.abc import Mapping
from hashlib import sha256

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed

from chain.bundle import Bundle
from chain.programs import token_2022, tokens
from chain.programs.addresses import TOKEN_2022, token_account_of
from chain.standards.standard import AssetTerms, ChainAsset, CollectionTerms, Standard

# Seeds of addresses have at most 32 bytes.
_SEED_CHARACTERS = 32
ROYALTY_FIELD = "seller_fee_basis_points"
# Measured: 26,000 to 34,000 compute units, and more where the address of the token account is hard to find.
MINT_UNITS, COLLECTION_UNITS, TRANSFER_UNITS = 60_000, 40_000, 40_000
# The token account of a new owner: its creation calls four instructions.
_CREATE_ACCOUNT_TRACE = 6
# The amount of an asset, as the account has it and in base58.
_ONE, _ONE_BASE58 = (1).to_bytes(8, "little"), "Ahg1opVcGX"


class Token2022(Standard):
    """The default."""

    name = "token-2022"
    program = TOKEN_2022
    # Accounts with one base unit: hardly any has that of a fungible token.
    holder_filters = ({"memcmp": {"offset": tokens.AMOUNT_OFFSET, "bytes": _ONE_BASE58, "encoding": "base58"}},)
    holder_bytes = tokens.AMOUNT_OFFSET + len(_ONE)

    def asset_address(self, authority: Pubkey, key: str) -> Pubkey:
        return Pubkey.create_with_seed(authority, _seed("asset", key), TOKEN_2022)

    def collection_address(self, authority: Pubkey, key: str) -> Pubkey:
        return Pubkey.create_with_seed(authority, _seed("collection", key), TOKEN_2022)

    def collection_bytes(self, terms: CollectionTerms) -> int:
        return token_2022.mint_bytes(
            token_2022.POINTER_BYTES, token_2022.POINTER_BYTES, token_2022.GROUP_BYTES,
            token_2022.metadata_bytes(terms.name, terms.symbol, terms.uri, _fields(terms.royalty_basis_points)),
        )  # fmt: skip

    def asset_bytes(self, terms: AssetTerms) -> int:
        member = [] if terms.collection is None else [token_2022.POINTER_BYTES, token_2022.MEMBER_BYTES]
        metadata = token_2022.metadata_bytes(terms.name, terms.symbol, terms.uri, _fields(terms.royalty_basis_points))
        return token_2022.mint_bytes(token_2022.POINTER_BYTES, *member, metadata)

    def create_collection(
        self, payer: Pubkey, authority: Pubkey, key: str, terms: CollectionTerms, rents: Mapping[int, int]
    ) -> Bundle:
        mint = self.collection_address(authority, key)
        space = token_2022.mint_bytes(token_2022.POINTER_BYTES, token_2022.POINTER_BYTES)
        instructions = [
            _create(payer, authority, mint, _seed("collection", key), rents[self.collection_bytes(terms)], space),
            token_2022.metadata_pointer(mint),
            token_2022.group_pointer(mint),
            tokens.initialize_mint(mint, authority, 0, TOKEN_2022),
            token_2022.initialize_metadata(mint, authority, terms.name, terms.symbol, terms.uri),
            *_royalty(mint, authority, terms.royalty_basis_points),
            token_2022.initialize_group(mint, authority, terms.max_size),
        ]
        return Bundle(tuple(instructions), frozenset([authority]), len(instructions), COLLECTION_UNITS)

    def mint(
        self, payer: Pubkey, authority: Pubkey, key: str, owner: Pubkey, terms: AssetTerms, rents: Mapping[int, int]
    ) -> Bundle:
        mint, group = self.asset_address(authority, key), terms.collection
        pointers = [token_2022.POINTER_BYTES] * (1 if group is None else 2)
        space = token_2022.mint_bytes(*pointers)
        instructions = [
            _create(payer, authority, mint, _seed("asset", key), rents[self.asset_bytes(terms)], space),
            token_2022.metadata_pointer(mint),
            *([] if group is None else [token_2022.member_pointer(mint)]),
            tokens.initialize_mint(mint, authority, 0, TOKEN_2022),
            token_2022.initialize_metadata(mint, authority, terms.name, terms.symbol, terms.uri),
            *_royalty(mint, authority, terms.royalty_basis_points),
            *([] if group is None else [token_2022.initialize_member(mint, authority, group)]),
            tokens.create_token_account(payer, owner, mint, TOKEN_2022),
            tokens.mint_to(mint, token_account_of(owner, mint, TOKEN_2022), authority, 1, TOKEN_2022),
            tokens.revoke_mint_authority(mint, authority, TOKEN_2022),
        ]
        trace = len(instructions) + _CREATE_ACCOUNT_TRACE
        return Bundle(tuple(instructions), frozenset([authority]), trace, MINT_UNITS)

    def transfer(
        self, payer: Pubkey, asset: Pubkey, collection: Pubkey | None, source_owner: Pubkey, new_owner: Pubkey
    ) -> Bundle:
        source = token_account_of(source_owner, asset, TOKEN_2022)
        destination = token_account_of(new_owner, asset, TOKEN_2022)
        instructions = (
            tokens.create_token_account(payer, new_owner, asset, TOKEN_2022),
            tokens.transfer_checked(source, asset, destination, source_owner, 1, 0, TOKEN_2022),
            tokens.close_account(source, payer, source_owner, TOKEN_2022),
        )
        trace = len(instructions) + _CREATE_ACCOUNT_TRACE
        return Bundle(instructions, frozenset([source_owner]), trace, TRANSFER_UNITS)

    def parse_asset(self, data: bytes) -> ChainAsset | None:
        try:
            mint = token_2022.parse_mint(data)
        except token_2022.NotAMint:
            return None
        if mint.supply != 1 or mint.decimals != 0 or mint.has_mint_authority:
            return None
        royalty = mint.fields.get(ROYALTY_FIELD, "0")
        points = int(royalty) if royalty.isascii() and royalty.isdigit() and len(royalty) < 6 else 0
        return ChainAsset(mint.name, mint.symbol, mint.uri, mint.group, points)

    def holding_address(self, asset: Pubkey, owner: Pubkey) -> Pubkey:
        return token_account_of(owner, asset, TOKEN_2022)

    def holds(self, data: bytes, asset: Pubkey, owner: Pubkey) -> bool:
        if len(data) < tokens.ACCOUNT_BYTES or data[:32] != bytes(asset) or data[32:64] != bytes(owner):
            return False
        return data[tokens.AMOUNT_OFFSET : tokens.AMOUNT_OFFSET + len(_ONE)] == _ONE

    def holder_in(self, address: Pubkey, data: bytes) -> tuple[Pubkey, Pubkey] | None:
        if data[tokens.AMOUNT_OFFSET : tokens.AMOUNT_OFFSET + len(_ONE)] != _ONE:
            return None
        return Pubkey(data[:32]), Pubkey(data[32:64])


def _seed(kind: str, key: str) -> str:
    """Of any key, and never the same for two."""
    return sha256(f"{kind}:{key}".encode()).hexdigest()[:_SEED_CHARACTERS]


def _create(payer: Pubkey, authority: Pubkey, mint: Pubkey, seed: str, lamports: int, space: int) -> Instruction:
    """The program makes the account larger when metadata and membership come; the rent is for all of it."""
    return create_account_with_seed(
        CreateAccountWithSeedParams(
            from_pubkey=payer, to_pubkey=mint, base=authority, seed=seed, lamports=lamports, space=space,
            owner=TOKEN_2022,
        )
    )  # fmt: skip


def _fields(royalty_basis_points: int) -> dict[str, str]:
    return {ROYALTY_FIELD: str(royalty_basis_points)} if royalty_basis_points else {}


def _royalty(mint: Pubkey, authority: Pubkey, royalty_basis_points: int) -> list[Instruction]:
    fields = _fields(royalty_basis_points)
    return [token_2022.update_field(mint, authority, name, value) for name, value in fields.items()]
