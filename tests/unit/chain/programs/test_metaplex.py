"""Instructions and accounts of Metaplex Core, byte for byte as the official client has them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metaplex_vectors import ACCOUNTS, INSTRUCTIONS
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chain.programs import metaplex
from chain.programs.addresses import SYSTEM
from chain.programs.metaplex import MetaplexAsset, MetaplexCollection, NotMetaplex

PAYER, COLLECTION, AUTHORITY, ASSET, OWNER, NEW_OWNER = (Pubkey.from_bytes(bytes([i]) * 32) for i in range(1, 7))
NAMED = {metaplex.MPL_CORE: "core", SYSTEM: "system"}

BUILT = {
    "collection": metaplex.create_collection(COLLECTION, AUTHORITY, PAYER, "Set", "ipfs://set", 0),
    "collection-royalty": metaplex.create_collection(COLLECTION, AUTHORITY, PAYER, "Set", "ipfs://set", 500),
    "asset": metaplex.create_asset(ASSET, COLLECTION, AUTHORITY, PAYER, OWNER, "Card #1", "ipfs://card", 0),
    "asset-royalty": metaplex.create_asset(ASSET, COLLECTION, AUTHORITY, PAYER, OWNER, "Card #1", "ipfs://card", 250),
    "asset-alone": metaplex.create_asset(ASSET, None, AUTHORITY, PAYER, OWNER, "Card #1", "ipfs://card", 0),
    "transfer": metaplex.transfer(ASSET, COLLECTION, PAYER, OWNER, NEW_OWNER),
    "transfer-alone": metaplex.transfer(ASSET, None, PAYER, OWNER, NEW_OWNER),
}


def written(instruction: Instruction) -> tuple[str, list[tuple[object, bool, bool]]]:
    accounts = [
        (NAMED.get(one.pubkey) or bytes(one.pubkey)[0], one.is_signer, one.is_writable) for one in instruction.accounts
    ]
    return instruction.data.hex(), accounts


def test_every_recorded_instruction_is_built():
    assert BUILT.keys() == INSTRUCTIONS.keys()


@pytest.mark.parametrize("name", BUILT)
def test_instructions_are_those_of_the_official_client(name: str):
    assert written(BUILT[name]) == INSTRUCTIONS[name]
    assert BUILT[name].program_id == metaplex.MPL_CORE


def test_accounts_of_the_official_client_are_read():
    read = {name: metaplex.parse_asset(bytes.fromhex(ACCOUNTS[name])) for name in ACCOUNTS if name != "collection"}
    assert read == {
        "asset": MetaplexAsset(OWNER, None, COLLECTION, "Card #1", "ipfs://card", None),
        "asset-royalty": MetaplexAsset(OWNER, None, COLLECTION, "Card #1", "ipfs://card", 250),
        "asset-alone-seq": MetaplexAsset(OWNER, AUTHORITY, None, "Card #1", "ipfs://card", None),
        "asset-none": MetaplexAsset(OWNER, None, None, "é", "", None),
    }
    assert metaplex.parse_collection(bytes.fromhex(ACCOUNTS["collection"])) == MetaplexCollection(
        AUTHORITY, "Set", "ipfs://set", 7, 6
    )


def test_sizes_are_those_of_the_accounts():
    assert metaplex.asset_bytes("Card #1", "ipfs://card", 0) == len(bytes.fromhex(ACCOUNTS["asset"]))
    assert metaplex.asset_bytes("Card #1", "ipfs://card", 250) == len(bytes.fromhex(ACCOUNTS["asset-royalty"]))
    assert metaplex.collection_bytes("Set", "ipfs://set", 0) == len(bytes.fromhex(ACCOUNTS["collection"]))


@given(st.binary(max_size=300))
def test_any_bytes_are_an_asset_or_not_of_core(data: bytes):
    for parse in (metaplex.parse_asset, metaplex.parse_collection):
        with contextlib.suppress(NotMetaplex):
            parse(data)


@given(st.data())
def test_a_damaged_asset_never_breaks_the_parser(data: st.DataObject):
    content = bytearray(bytes.fromhex(ACCOUNTS["asset-royalty"]))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotMetaplex):
        metaplex.parse_asset(bytes(content[: data.draw(st.integers(0, len(content)))]))
