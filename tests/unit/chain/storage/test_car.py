"""CAR files, against one that other implementations are tested with, and read back by other means."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from chain.storage.car import CarOfFile, car_block, car_header
from chain.storage.cids import RAW, Cid, block_cid
from chain.storage.unixfs import CHUNK_BYTES, file_node
from tests.unit.chain.storage.car_reader import read_car

# ipld/js-car (test/common.js): the header and the first blocks of its example.
EXAMPLE = bytes.fromhex(
    "63a265726f6f747382d82a58250001711220f88bc853804cf294fe417e4fa83028689fcdb1b1592c5102e1474dbc200fab8bd82a58250001"
    "71122069ea0740f9807a28f4d932c62e7c1c83be055e55072c90266ab3e79df63a365b6776657273696f6e01280155122061be55a8e2f6b4"
    "e172338bddf184d6dbee29c98853e0a0485ecee7f27b9af0b461616161280155122081cc5b17018674b401b42f35ba07bb79e211239c23bf"
    "fe658da1577e3e646877626262622801551220b6fbd675f98e2abd22d4ed29fdc83150fedc48597e92dd1a7a24381d44a2745163636363"
)
DAG_CBOR = 0x71
ROOTS = [
    Cid(DAG_CBOR, bytes.fromhex("f88bc853804cf294fe417e4fa83028689fcdb1b1592c5102e1474dbc200fab8b")),
    Cid(DAG_CBOR, bytes.fromhex("69ea0740f9807a28f4d932c62e7c1c83be055e55072c90266ab3e79df63a365b")),
]


def test_a_file_is_written_as_others_write_it():
    blocks = b"".join(car_block(block_cid(one), one) for one in (b"aaaa", b"bbbb", b"cccc"))
    assert car_header(ROOTS) + blocks == EXAMPLE


@given(st.integers(0, 300))
def test_any_number_of_roots_can_be_read(count: int):
    roots = [Cid(RAW, hashlib.sha256(bytes([number % 256])).digest()) for number in range(count)]
    assert read_car(car_header(roots)) == ([root.binary for root in roots], [])


def test_a_file_in_a_car_has_all_blocks_of_its_tree():
    content = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"end"
    node = file_node(content)
    car = CarOfFile()
    written = b"".join(map(car.feed, (content[:1_000], content[1_000:300_000], content[300_000:])))
    root, rest = car.finish()
    roots, blocks = read_car(car_header([root]) + written + rest)
    assert roots == [node.cid.binary]
    assert blocks[-1][0] == node.cid.binary
    assert sum(len(block) for _, block in blocks) == node.tree_bytes
    assert b"".join(block for cid, block in blocks if cid[1] == RAW) == content
