"""Merkle trees against the known vectors of Certificate Transparency, and against the definition of RFC 6962."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log.merkle import is_included, leaf_hash, tree_of

# The leaves of the tests of certificate-transparency (merkletree/merkle_tree_test.cc), and its roots for the first n.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (place, leaves) and the inclusion proof, of the same tests.
PROOFS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}

leaves_of_trees = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_of_certificate_transparency(count: int):
    assert tree_of(LEAVES[:count]).root.hex() == ROOTS[count - 1]


@pytest.mark.parametrize(("place", "count"), PROOFS)
def test_proofs_are_those_of_certificate_transparency(place: int, count: int):
    assert [one.hex() for one in tree_of(LEAVES[:count]).paths[place]] == PROOFS[place, count]


def test_the_tree_of_nothing_has_the_hash_of_nothing():
    assert tree_of([]).root == hashlib.sha256(b"").digest()


@given(leaves_of_trees)
def test_every_root_is_that_of_the_definition(leaves: list[bytes]):
    assert tree_of(leaves).root == by_definition(leaves)


@given(leaves_of_trees)
def test_every_leaf_is_included_at_its_place(leaves: list[bytes]):
    tree = tree_of(leaves)
    for place, (data, path) in enumerate(zip(leaves, tree.paths, strict=True)):
        assert is_included(data, place, len(leaves), path, tree.root)
        assert len(path) <= (len(leaves) - 1).bit_length()


@given(leaves_of_trees, st.data())
def test_a_proof_with_one_bit_changed_proves_nothing(leaves: list[bytes], data: st.DataObject):
    tree = tree_of(leaves)
    place = data.draw(st.integers(0, len(leaves) - 1))
    path = list(tree.paths[place])
    parts = [leaves[place], tree.root, *path]
    changed = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, max(0, 8 * len(parts[changed]) - 1)))
    wrong = bytearray(parts[changed] or b"\x01")
    wrong[bit // 8] ^= 1 << bit % 8
    leaf, root, *hashes = [*parts[:changed], bytes(wrong), *parts[changed + 1 :]]
    assert not is_included(leaf, place, len(leaves), hashes, root) or (leaf, root, *hashes) == tuple(parts)


@given(leaves_of_trees, st.integers(-2, 80))
def test_a_proof_holds_for_its_place_alone(leaves: list[bytes], other: int):
    # Leaves that differ, so that no two places have the same proof.
    different = [bytes([number]) + one for number, one in enumerate(leaves)]
    tree = tree_of(different)
    for place in range(len(different)):
        held = is_included(different[place], other, len(different), tree.paths[place], tree.root)
        assert held == (other == place)


@given(leaves_of_trees)
def test_a_proof_that_is_too_short_or_too_long_proves_nothing(leaves: list[bytes]):
    tree = tree_of(leaves)
    path = tree.paths[0]
    assert not is_included(leaves[0], 0, len(leaves), (*path, tree.root), tree.root)
    if path:
        assert not is_included(leaves[0], 0, len(leaves), path[:-1], tree.root)


def test_an_inner_node_is_no_leaf():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    root = tree_of([b"a", b"b"]).root
    assert not is_included(left + right, 0, 1, (), root)
