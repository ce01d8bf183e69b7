"""Files of content: complete or not there, and what they are called."""

from pathlib import Path

import pytest

from chain.storage.cids import block_cid
from chain.storage.errors import ContentDamaged, ContentTooLarge
from chain.storage.files import ABANDONED_S, ContentFiles
from chain.storage.unixfs import CHUNK_BYTES, file_node

LARGE = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"end"


@pytest.fixture
def files(tmp_path: Path) -> ContentFiles:
    return ContentFiles(tmp_path / "content")


def names(files: ContentFiles) -> list[str]:
    directory = files.path(block_cid(b"")).parent.parent
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_content_is_stored_under_its_id_once(files: ContentFiles):
    node = files.put(LARGE)
    assert node == file_node(LARGE) == files.put(LARGE)
    assert names(files) == [node.cid.text]
    assert files.verify(node.cid) == len(LARGE)
    assert b"".join(files.pieces(node.cid, 10, 300_000)) == LARGE[10:300_010]


def test_what_is_not_kept_leaves_nothing(files: ContentFiles):
    with files.receive(100) as incoming:
        incoming.write(b"half")
        incoming.finish()
    assert names(files) == []


def test_more_than_allowed_leaves_nothing(files: ContentFiles):
    with files.receive(10) as incoming:
        incoming.write(b"0123456789")
        with pytest.raises(ContentTooLarge) as refused:
            incoming.write(b"!")
    assert refused.value.maximum == 10
    assert names(files) == []


@pytest.mark.parametrize("damage", [b"", LARGE[:-1], LARGE[:-1] + b"D", LARGE + b"!"])
def test_damage_is_found(files: ContentFiles, damage: bytes):
    cid = files.put(LARGE).cid
    files.path(cid).write_bytes(damage)
    with pytest.raises(ContentDamaged):
        files.verify(cid)


def test_storing_again_repairs_a_damaged_file(files: ContentFiles):
    cid = files.put(LARGE).cid
    files.path(cid).write_bytes(LARGE[::-1])
    files.put(LARGE)
    assert files.verify(cid) == len(LARGE)


def test_content_that_is_missing_or_too_short_is_an_error(files: ContentFiles):
    cid = block_cid(b"nothing")
    with pytest.raises(ContentDamaged):
        files.verify(cid)
    files.put(b"nothing")
    with pytest.raises(ContentDamaged):
        list(files.pieces(cid, 3, 100))


def test_files_of_writers_that_died_are_removed_after_a_day(files: ContentFiles, monkeypatch: pytest.MonkeyPatch):
    with files.receive(10) as incoming:
        assert files.remove_abandoned() == 0
        modified_s = incoming.path.stat().st_mtime
        monkeypatch.setattr("chain.storage.files.time.time", lambda: modified_s + ABANDONED_S + 1)
        assert files.remove_abandoned() == 1
    assert names(files) == []
