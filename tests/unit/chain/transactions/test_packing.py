"""Packing holds every limit of the chain, loses nothing, and its estimate of bytes is never too low."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chain.bundle import Bundle
from chain.rpc.answers import RecentBlockhash
from chain.signing import LocalSigner
from chain.standards.metaplex import MetaplexStandard
from chain.standards.standard import AssetTerms, Standard
from chain.standards.token_2022 import Token2022
from chain.transactions.building import Fee, MissingSigner, build, compiled
from chain.transactions.packing import (
    ADDRESSES_MAX,
    BYTES_MAX,
    COMPUTE_UNITS_MAX,
    INSTRUCTIONS_MAX,
    SIGNATURES_MAX,
    TRACE_MAX,
    TooLarge,
    pack,
)
from tests.svm import Svm

PAYER = Pubkey.from_bytes(b"\1" * 32)
KEYS = [Pubkey.from_bytes(bytes([number]) * 32) for number in range(2, 60)]
RECENT = RecentBlockhash(Hash.default(), 100)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    instructions, signers = [], set()
    for _ in range(draw(st.integers(1, 3))):
        keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=6, unique=True))
        signing = set(draw(st.lists(st.sampled_from(keys), max_size=2)))
        signers |= signing
        accounts = [AccountMeta(key, key in signing, draw(st.booleans())) for key in keys]
        program = Pubkey.from_bytes(bytes([draw(st.integers(100, 104))]) * 32)
        instructions.append(Instruction(program, draw(st.binary(max_size=300)), accounts))
    return Bundle(
        tuple(instructions), frozenset(signers), len(instructions) + draw(st.integers(0, 10)),
        draw(st.integers(1_000, 300_000)),
    )  # fmt: skip


@given(st.lists(bundles(), min_size=1, max_size=20), st.integers(1, 20), st.sampled_from([0, 1]))
def test_what_is_packed_fits_and_is_all(wanted: list[Bundle], batch_max: int, version: int):
    try:
        packed = pack(PAYER, wanted, [batch_max] * len(wanted), version)
    except TooLarge:
        return
    assert [place for batch in packed for place in batch] == list(range(len(wanted)))
    for batch in packed:
        inside = [wanted[place] for place in batch]
        message = compiled(PAYER, inside, RECENT, Fee(COMPUTE_UNITS_MAX, 1_000), version)
        size = len(bytes(to_bytes_versioned(message))) + 64 * message.header.num_required_signatures + 1
        assert size <= BYTES_MAX[version]
        assert len(batch) <= batch_max
        assert len(message.account_keys) <= ADDRESSES_MAX
        assert message.header.num_required_signatures <= SIGNATURES_MAX
        assert sum(len(one.instructions) for one in inside) <= INSTRUCTIONS_MAX
        assert sum(one.trace_entries for one in inside) <= TRACE_MAX
        assert sum(one.compute_units for one in inside) <= COMPUTE_UNITS_MAX


@given(st.lists(bundles(), min_size=1, max_size=16), st.lists(bundles(), max_size=6), st.sampled_from([0, 1]))
def test_what_fills_gaps_moves_nothing_else_and_opens_a_transaction_only_where_there_is_no_room(
    first: list[Bundle], fillers: list[Bundle], version: int
):
    wanted, room = [*first, *fillers], [4] * (len(first) + len(fillers))
    try:
        alone = pack(PAYER, first, room, version)
        packed = pack(PAYER, wanted, room, version, fill_from=len(first))
    except TooLarge:
        return
    kept = [[place for place in batch if place < len(first)] for batch in packed]
    assert [batch for batch in kept if batch] == alone
    assert kept[: len(alone)] == alone
    assert sorted(place for batch in packed for place in batch) == list(range(len(wanted)))
    for batch in packed[: len(alone)]:
        for filler in packed[len(alone) :]:
            together = [*batch, *filler[:1]]
            assert len(together) > 4 or len(pack(PAYER, [wanted[one] for one in together], room, version)) > 1


def test_a_bundle_that_is_too_large_alone_is_refused():
    long = Instruction(KEYS[0], bytes(BYTES_MAX[1]), [])
    for one in (
        Bundle((long,), frozenset(), 1, 1),
        Bundle((Instruction(KEYS[0], b"", []),) * 65, frozenset(), 65, 1),
        Bundle((Instruction(KEYS[0], b"", []),), frozenset(), 65, 1),
        Bundle((Instruction(KEYS[0], b"", []),), frozenset(), 1, COMPUTE_UNITS_MAX + 1),
        Bundle((Instruction(KEYS[0], b"", []),), frozenset(KEYS[:12]), 1, 1),
    ):
        with pytest.raises(TooLarge):
            pack(PAYER, [one], [1])


def per_transaction(standard: Standard, version: int, collection: Pubkey | None) -> int:
    terms = AssetTerms("Card #000001", "CARD", "ipfs://" + "b" * 59, collection)
    rents = {standard.asset_bytes(terms): 1}
    wanted = [standard.mint(PAYER, KEYS[0], str(number), KEYS[1], terms, rents) for number in range(30)]
    return len(pack(PAYER, wanted, [30] * 30, version)[0])


def test_how_many_assets_are_in_a_transaction():
    core = MetaplexStandard(b"secret")
    assert [per_transaction(Token2022(), version, None) for version in (0, 1)] == [1, 4]
    assert [per_transaction(Token2022(), version, KEYS[2]) for version in (0, 1)] == [1, 4]
    assert [per_transaction(core, version, None) for version in (0, 1)] == [4, 11]


@pytest.mark.parametrize("version", [0, 1])
def test_a_full_transaction_runs(version: int):
    svm, standard = Svm(), Token2022()
    terms = AssetTerms("Card", "CARD", "ipfs://" + "b" * 59)
    rents = {standard.asset_bytes(terms): svm.rent(standard.asset_bytes(terms))}
    wanted = [
        standard.mint(svm.payer.pubkey(), svm.authority.pubkey(), str(number), Keypair().pubkey(), terms, rents)
        for number in range(6)
    ]
    first = pack(svm.payer.pubkey(), wanted, [6] * 6, version)[0]
    svm.run([wanted[place] for place in first], version=version)


async def test_a_key_that_is_missing_is_told_before_anything_is_signed():
    needs = Bundle((Instruction(KEYS[0], b"", [AccountMeta(KEYS[1], True, False)]),), frozenset([KEYS[1]]), 1, 1)
    with pytest.raises(MissingSigner):
        await build(LocalSigner(Keypair()), [], [needs], RECENT, Fee(1_000))


@pytest.mark.parametrize("version", [0, 1])
async def test_a_full_transaction_of_metaplex_assets_is_signed_by_the_key_of_each(version: int):
    standard, payer, authority = MetaplexStandard(b"secret"), LocalSigner(Keypair()), LocalSigner(Keypair())
    keys = [str(number) for number in range(20)]
    terms = AssetTerms("Card", "CARD", "ipfs://card", KEYS[0], 250)
    wanted = [standard.mint(payer.address, authority.address, key, KEYS[1], terms, {}) for key in keys]
    first = pack(payer.address, wanted, [20] * 20, version)[0]
    signers = [one for place in first for one in standard.asset_signers(authority.address, keys[place])]
    built = await build(payer, [authority, *signers], [wanted[place] for place in first], RECENT, Fee(400_000), version)
    transaction = VersionedTransaction.from_bytes(built.raw)
    assert len(built.raw) <= BYTES_MAX[version]
    assert transaction.verify_with_results() == [True] * (2 + len(first))
    assert len(first) > 1
