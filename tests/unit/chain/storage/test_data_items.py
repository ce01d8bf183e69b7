"""Data items of Arweave, byte for byte as arbundles 1.0.4 makes them (SolanaSigner, with the seed 0 … 31)."""

import hashlib

import pytest
from solders.keypair import Keypair

from chain.signing import LocalSigner
from chain.storage.data_items import (
    TAGS_MAX,
    DataHash,
    Hashed,
    InvalidTags,
    Tags,
    bundle_header,
    deep_hash,
    encoded_tags,
    sign_item,
)

SIGNER = LocalSigner(Keypair.from_seed(bytes(range(32))))
OWNER = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
# Data, tags, anchor, id, and the whole item.
ITEMS: list[tuple[bytes, Tags, bytes, str, str]] = [
    (
        b'{"name":"Charizard #7"}',
        [("Content-Type", "application/json"), ("IPFS-CID", "bafkrei")],
        b"",
        "ugd2e2opVVwSCHvtSwEqYp3VpNX6Oa4DaNAL5PVo5Eo",
        "0200d4375d35501cd666d9e697ab55c9786a51d3e7802048eed7c9dc12fbb994059de1d35f4e22b3134e697e93e936c5a030fed252797da3"
        f"192a8b3240c76add550a{OWNER}0000020000000000000031000000000000000418436f6e74656e742d54797065206170706c6963617469"
        "6f6e2f6a736f6e10495046532d4349440e6261666b726569007b226e616d65223a2243686172697a617264202337227d",
    ),
    (
        b"\x00\xff\x01\x02",
        [],
        b"",
        "vjVkf6lWlW1DrKh3GkSJPC76g5pywLhTeDTqAukCaVA",
        "02002c1881644d07544a97696a7a9efde9553f6b75f3b7343b2128a412549fb296850872aea8ec776f2955fdbe3cf0cf6553748c954c2ef4"
        f"b54e515bd7383e3ca00a{OWNER}000000000000000000000000000000000000" "00ff0102",
    ),
    (
        b"",
        [("Näme", "wört")],
        b"a" * 32,
        "BPodPayYTXtHGYW9q-p5SGYcEthYJVwYn1UTjnxJgPw",
        "020077f09fc17c800505f75c61161c01c99a88e8dcfff64c9ab7354d2f6b343963e22c236364370382cbad67e470e78169febe4d7985c25a"
        f"1022126c4feb6c1de105{OWNER}0001616161616161616161616161616161616161616161616161616161616161616101000000"
        "000000000e00000000000000020a4ec3a46d650a77c3b6727400",
    ),
]  # fmt: skip
BUNDLE_HEADER = (
    "0300000000000000000000000000000000000000000000000000000000000000"
    "bc00000000000000000000000000000000000000000000000000000000000000ba07767b6a29555c12087bed4b012a629dd5a4d5fa39ae0368"
    "d00be4f568e44a7800000000000000000000000000000000000000000000000000000000000000be35647fa956956d43aca8771a44893c2efa"
    "839a72c0b8537834ea02e9026950a20000000000000000000000000000000000000000000000000000000000000004fa1d3dac984d7b471985"
    "bdabea7948661c12d858255c189f55138e7c4980fc"
)


def hashed(*pieces: bytes) -> Hashed:
    data = DataHash()
    for piece in pieces:
        data.feed(piece)
    return data.finish()


@pytest.mark.parametrize(("data", "tags", "anchor", "id", "whole"), ITEMS, ids=["document", "no tags", "anchor"])
async def test_an_item_is_signed_as_arbundles_does(data: bytes, tags: Tags, anchor: bytes, id: str, whole: str):
    item = await sign_item(SIGNER, hashed(data[:3], data[3:]), tags, anchor)
    assert (item.text, (item.content + data).hex()) == (id, whole)
    assert item.size == len(item.content) + len(data)


async def test_a_bundle_begins_as_arbundles_writes_it():
    items = [await sign_item(SIGNER, hashed(data), tags, anchor) for data, tags, anchor, _, _ in ITEMS]
    assert bundle_header(items).hex() == BUNDLE_HEADER


def test_lists_are_hashed_as_arbundles_does():
    assert deep_hash([b"a", [b"b", b""]]).hex() == (
        "f6836f1d993d04b1a1c4add3023cb851638df615b6a2c194af97d855d79d1c0e111d21f17f7d06f01b5f790ca494cf51"
    )
    assert deep_hash(hashed(b"abc")) == deep_hash(b"abc") != hashlib.sha384(b"abc").digest()


@pytest.mark.parametrize(
    "tags", [[("n", "v")] * (TAGS_MAX + 1), [("", "v")], [("n", "")], [("n", "v" * 4_100)]], ids=lambda tags: len(tags)
)
def test_tags_have_limits(tags: Tags):
    with pytest.raises(InvalidTags):
        encoded_tags(tags)
