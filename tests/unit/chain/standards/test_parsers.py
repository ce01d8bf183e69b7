"""Terms have limits, and parsers of accounts take any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.programs.token_2022 import NotAMint, parse_mint
from chain.signing import LocalSigner, SignerRefused
from chain.standards.metaplex import MetaplexStandard, NoSecret, metaplex_secret
from chain.standards.registry import DEFAULT, STANDARDS, minting_standards
from chain.standards.standard import AssetTerms, CollectionTerms, InvalidTerms
from chain.standards.token_2022 import Token2022
from tests.svm import Svm

AUTHORITY = Pubkey.from_bytes(b"\3" * 32)
KEYS = st.text(max_size=60)


@pytest.mark.parametrize(
    ("name", "symbol", "uri", "royalty"),
    [("é" * 17, "", "", 0), ("", "S" * 11, "", 0), ("", "", "u" * 201, 0), ("", "", "", 10_001), ("", "", "", -1)],
)
def test_terms_that_do_not_fit_are_refused(name: str, symbol: str, uri: str, royalty: int):
    with pytest.raises(InvalidTerms):
        AssetTerms(name, symbol, uri, None, royalty)
    with pytest.raises(InvalidTerms):
        CollectionTerms(name, symbol, uri, 1, royalty)


@given(KEYS, KEYS)
def test_two_keys_never_have_one_address(one: str, other: str):
    for standard in (Token2022(), MetaplexStandard(b"secret")):
        addresses = {
            standard.asset_address(AUTHORITY, one), standard.asset_address(AUTHORITY, other),
            standard.collection_address(AUTHORITY, one), standard.collection_address(AUTHORITY, other),
        }  # fmt: skip
        assert len(addresses) == (2 if one == other else 4)


@given(st.binary(max_size=600))
def test_any_bytes_are_an_asset_or_none(data: bytes):
    for standard in STANDARDS.values():
        standard.parse_asset(data)
        standard.holds(data, AUTHORITY, AUTHORITY)
    with pytest.raises(NotAMint):
        parse_mint(data[:166])


def mint_account() -> bytes:
    svm, standard = Svm(), Token2022()
    terms = AssetTerms("Card", "S", "ipfs://x", None, 250)
    rents = {standard.asset_bytes(terms): svm.rent(standard.asset_bytes(terms))}
    svm.run([standard.mint(svm.payer.pubkey(), svm.authority.pubkey(), "1", svm.payer.pubkey(), terms, rents)])
    data = svm.data(standard.asset_address(svm.authority.pubkey(), "1"))
    assert data is not None
    return data


MINT = mint_account()


@given(st.data())
def test_a_damaged_mint_never_breaks_the_parser(data: st.DataObject):
    content = bytearray(MINT)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    Token2022().parse_asset(bytes(content[: data.draw(st.integers(0, len(content)))]))


async def test_keys_of_core_accounts_come_from_the_authority():
    signer, other = LocalSigner(Keypair()), LocalSigner(Keypair())
    assert await metaplex_secret(signer) == await metaplex_secret(signer) != await metaplex_secret(other)
    standards = minting_standards(await metaplex_secret(signer))
    assert standards.keys() == STANDARDS.keys() == {DEFAULT, "core"}
    [key] = standards["core"].asset_signers(AUTHORITY, "1")
    assert key.address == standards["core"].asset_address(AUTHORITY, "1")
    with pytest.raises(NoSecret):
        STANDARDS["core"].asset_address(AUTHORITY, "1")


async def test_a_signer_whose_signatures_differ_derives_no_keys():
    class Hedged:
        address = AUTHORITY

        async def sign(self, message: bytes) -> Signature:
            return Keypair().sign_message(message)

    with pytest.raises(SignerRefused):
        await metaplex_secret(Hedged())
