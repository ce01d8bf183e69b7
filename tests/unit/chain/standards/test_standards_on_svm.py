"""Each standard on an SVM with its real program: create, own, move, read; Metaplex Core where its binary is named."""

import os

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.bundle import Bundle
from chain.standards.metaplex import MetaplexStandard
from chain.standards.standard import AssetTerms, ChainAsset, CollectionTerms, Standard
from chain.standards.token_2022 import Token2022
from tests.svm import CORE_BINARY, Failed, Svm

CORE = MetaplexStandard(b"secret")
needs_core = pytest.mark.skipif(CORE_BINARY not in os.environ, reason=f"{CORE_BINARY} names no program")
STANDARDS = pytest.mark.parametrize(
    "standard", [Token2022(), pytest.param(CORE, marks=needs_core)], ids=["token-2022", "core"]
)

SET = CollectionTerms("Base Set", "BASE", "ipfs://set", 3, 500)


def keys_of(standard: Standard, svm: Svm, *jobs: str) -> list[Keypair]:
    """Keys that sign the creations of these jobs."""
    authority = svm.authority.pubkey()
    signers = [
        *(one for job in jobs for one in standard.asset_signers(authority, job)),
        *standard.collection_signers(authority, "set"),
    ]
    return [one._keypair for one in signers]  # type: ignore[attr-defined]


def scene(standard: Standard) -> Svm:
    return Svm().with_core() if isinstance(standard, MetaplexStandard) else Svm()


def create_set(svm: Svm, standard: Standard, terms: CollectionTerms = SET) -> Pubkey:
    size = standard.collection_bytes(terms)
    bundle = standard.create_collection(
        svm.payer.pubkey(), svm.authority.pubkey(), "set", terms, {size: svm.rent(size)}
    )
    svm.run([bundle], *keys_of(standard, svm))
    return standard.collection_address(svm.authority.pubkey(), "set")


def minting(svm: Svm, standard: Standard, job: str, owner: Pubkey, terms: AssetTerms) -> Bundle:
    size = standard.asset_bytes(terms)
    return standard.mint(svm.payer.pubkey(), svm.authority.pubkey(), job, owner, terms, {size: svm.rent(size)})


@STANDARDS
def test_an_asset_from_its_mint_to_its_second_owner(standard: Standard):
    svm = scene(standard)
    collection = create_set(svm, standard)
    owner, other = svm.funded(), Keypair().pubkey()
    terms = AssetTerms("Card #1", "BASE", "ipfs://card", collection, 250)
    svm.run([minting(svm, standard, "1", owner.pubkey(), terms)], *keys_of(standard, svm, "1"))
    asset = standard.asset_address(svm.authority.pubkey(), "1")
    data = svm.data(asset)
    assert data is not None
    symbol = "" if standard.name == "core" else "BASE"
    assert standard.parse_asset(data) == ChainAsset("Card #1", symbol, "ipfs://card", collection, 250)
    assert holds(svm, standard, asset, owner.pubkey())
    svm.run([standard.transfer(svm.payer.pubkey(), asset, collection, owner.pubkey(), other)], owner)
    assert holds(svm, standard, asset, other)
    assert not holds(svm, standard, asset, owner.pubkey())


def holds(svm: Svm, standard: Standard, asset: Pubkey, owner: Pubkey) -> bool:
    data = svm.data(standard.holding_address(asset, owner))
    return bool(data) and standard.holds(data or b"", asset, owner)


@STANDARDS
def test_the_same_job_mints_once(standard: Standard):
    svm = scene(standard)
    collection = create_set(svm, standard)
    owner = Keypair().pubkey()
    for name in ("first", "second"):
        bundle = minting(svm, standard, "1", owner, AssetTerms(name, "", "", collection))
        if name == "first":
            svm.run([bundle], *keys_of(standard, svm, "1"))
            continue
        with pytest.raises(Failed):
            svm.run([bundle], *keys_of(standard, svm, "1"))
    found = standard.parse_asset(svm.data(standard.asset_address(svm.authority.pubkey(), "1")) or b"")
    assert found is not None
    assert found.name == "first"


@STANDARDS
def test_only_the_owner_moves_an_asset(standard: Standard):
    svm = scene(standard)
    collection = create_set(svm, standard)
    owner, thief = svm.funded(), svm.funded()
    svm.run(
        [minting(svm, standard, "1", owner.pubkey(), AssetTerms("Card", "", "", collection))],
        *keys_of(standard, svm, "1"),
    )
    asset = standard.asset_address(svm.authority.pubkey(), "1")
    with pytest.raises(Failed):
        svm.run([standard.transfer(svm.payer.pubkey(), asset, collection, thief.pubkey(), thief.pubkey())], thief)
    assert holds(svm, standard, asset, owner.pubkey())


@STANDARDS
def test_estimates_are_not_too_low(standard: Standard):
    svm = scene(standard)
    collection = create_set(svm, standard)
    longest = AssetTerms("N" * 32, "S" * 10, "u" * 200, collection, 10_000)
    owner = svm.funded()
    bundle = minting(svm, standard, "1", owner.pubkey(), longest)
    assert svm.run([bundle], *keys_of(standard, svm, "1")) <= bundle.compute_units
    asset = standard.asset_address(svm.authority.pubkey(), "1")
    move = standard.transfer(svm.payer.pubkey(), asset, collection, owner.pubkey(), Keypair().pubkey())
    assert svm.run([move], owner) <= move.compute_units


def test_a_set_takes_no_more_assets_than_its_size():
    svm, standard = Svm(), Token2022()
    collection = create_set(svm, standard)
    for number in range(4):
        bundle = minting(svm, standard, str(number), Keypair().pubkey(), AssetTerms("Card", "", "", collection))
        if number < 3:
            svm.run([bundle])
            continue
        with pytest.raises(Failed):
            svm.run([bundle])


def test_accounts_of_token_2022_have_the_size_that_their_rent_is_for():
    svm, standard = Svm(), Token2022()
    collection = create_set(svm, standard)
    assert len(svm.data(collection) or b"") == standard.collection_bytes(SET)
    terms = AssetTerms("Ünïcode ✓", "É", "ipfs://card", collection, 250)
    svm.run([minting(svm, standard, "1", Keypair().pubkey(), terms)])
    address = standard.asset_address(svm.authority.pubkey(), "1")
    assert len(svm.data(address) or b"") == standard.asset_bytes(terms)


def test_nobody_can_mint_more_of_an_asset():
    svm, standard = Svm(), Token2022()
    svm.run([minting(svm, standard, "1", Keypair().pubkey(), AssetTerms("Card", "", ""))])
    data = svm.data(standard.asset_address(svm.authority.pubkey(), "1")) or b""
    assert data[:4] == bytes(4)
    assert int.from_bytes(data[36:44], "little") == 1
