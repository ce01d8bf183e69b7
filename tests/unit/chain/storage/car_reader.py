"""Reads CAR files as a node does: with code of its own, and checking each block against its CID."""

import hashlib


def read_car(content: bytes) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Roots and blocks, CIDs in binary. Raises AssertionError for a file that no node would accept."""
    header, at = _frame(content, 0)
    roots = _roots(header)
    blocks = []
    while at < len(content):
        frame, at = _frame(content, at)
        cid, block = frame[:36], frame[36:]
        assert cid[:4] in (b"\x01\x55\x12\x20", b"\x01\x70\x12\x20"), cid
        assert hashlib.sha256(block).digest() == cid[4:], "a block that is not of its CID"
        blocks.append((cid, block))
    return roots, blocks


def links_of(block: bytes) -> list[bytes]:
    """The CIDs that a dag-pb node links to."""
    found, at = [], 0
    while at < len(block):
        tag, at = _varint(block, at)
        assert tag & 7 == 2
        size, at = _varint(block, at)
        if tag >> 3 == 2:
            link = block[at : at + size]
            assert link[0] == 0x0A
            length, start = _varint(link, 1)
            found.append(link[start : start + length])
        at += size
    return found


def _frame(content: bytes, at: int) -> tuple[bytes, int]:
    size, at = _varint(content, at)
    assert at + size <= len(content), "the file is cut off"
    return content[at : at + size], at + size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _roots(header: bytes) -> list[bytes]:
    assert header[:7] == b"\xa2\x65roots"
    assert header[-9:] == b"\x67version\x01"
    kind, at = header[7], 8
    if kind == 0x98:
        count, at = header[8], 9
    elif kind == 0x99:
        count, at = int.from_bytes(header[8:10], "big"), 10
    else:
        assert 0x80 <= kind < 0x98
        count = kind & 0x1F
    roots = []
    for _ in range(count):
        assert header[at : at + 5] == b"\xd8\x2a\x58\x25\x00"
        roots.append(header[at + 5 : at + 41])
        at += 41
    assert at == len(header) - 9
    return roots
