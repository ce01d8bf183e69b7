"""Documents of minted cards: stored in batches, equal for equal cards, and errors that concern one card only."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from actors.content.documents import CardDocuments, Document
from actors.content.store import BODY_BYTES_MAX, CONTENT_BYTES_MAX, Content, ContentStore
from chain.storage.cids import Cid
from chain.storage.errors import ContentDamaged, ContentTooLarge
from chain.storage.files import ContentFiles
from chain.storage.unixfs import file_cid
from domain.catalog.rows import CardRow
from domain.minting.cards import MintedCard
from domain.minting.metadata import InvalidMetadata
from persistence.catalog.writing import CatalogWriting
from persistence.content.index import ContentIndex
from persistence.content.minted_cards import minted_cards
from persistence.identity.store import UserStore
from persistence.jobs.store import JobStore
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies, NewCopies

CARD = MintedCard("Charizard", "base", "Base Set", "4", "rare", 7, traits={"Type": "Fire"})
NOW = 1_795_393_927_132


def picture(name: str) -> bytes:
    out = BytesIO()
    Image.radial_gradient("L").convert("RGB").save(out, name)
    return out.getvalue()


@pytest.fixture
async def store(pool: Pool, tmp_path: Path) -> ContentStore:
    await pool.execute("DELETE FROM jobs; DELETE FROM content_copies; DELETE FROM content")
    return ContentStore(ContentIndex(pool), ContentFiles(tmp_path / "content"), lambda: NOW)


@pytest.fixture
def documents(store: ContentStore, tmp_path: Path) -> CardDocuments:
    cards = tmp_path / "media/cards"
    cards.mkdir(parents=True)
    (cards / "base-4.webp").write_bytes(picture("WEBP"))
    (cards / "broken.png").write_bytes(b"no picture")
    return CardDocuments(store, tmp_path / "media")


async def document_at(store: ContentStore, uri: str) -> dict[str, object]:
    row = await store.find(Cid.parse(uri.removeprefix("ipfs://")))
    assert row is not None
    assert row.media_type == "application/json"
    found: dict[str, object] = json.loads(await store.read(row))
    return found


def with_images(*images: str) -> MintedCard:
    return msgspec.structs.replace(CARD, images=images)


async def test_a_document_names_the_picture_by_its_id(documents: CardDocuments, store: ContentStore):
    (found,) = await documents.persist([with_images("/media/cards/base-4.webp")])
    assert isinstance(found, Document)
    assert found[1:] == ("Charizard #7", "BASE", 0)
    image = file_cid(picture("WEBP"))
    members = await document_at(store, found.uri)
    assert members["image"] == image.uri
    assert members["properties"] == {"category": "image", "files": [{"uri": image.uri, "type": "image/webp"}]}
    row = await store.find(image)
    assert row is not None
    assert await store.read(row) == picture("WEBP")
    # Again, and by another process: the same.
    assert await documents.persist([with_images("/media/cards/base-4.webp")]) == [found]


STORED = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


@pytest.mark.parametrize(
    ("images", "image"),
    [
        ((), None),
        (("http://example.org/a.png", "/media/cards/missing.webp", "/media/cards/../secret", "javascript:1"), None),
        (("/media/cards/broken.png",), None),
        (("https://example.org/a.png",), "https://example.org/a.png"),
        (("http://example.org/a.png", "ar://x"), "ar://x"),
        (("https://example.org/" + "a" * 200, STORED), f"ipfs://{STORED}"),
        ((f"ipfs://{STORED}",), f"ipfs://{STORED}"),
        ((f"ipfs://{STORED}/4.png",), f"ipfs://{STORED}/4.png"),
    ],
)
async def test_the_first_image_that_a_wallet_can_reach_is_named(
    documents: CardDocuments, store: ContentStore, images: tuple[str, ...], image: str | None
):
    (found,) = await documents.persist([with_images(*images)])
    assert isinstance(found, Document)
    assert (await document_at(store, found.uri)).get("image") == image


async def test_a_bad_card_has_its_error_and_the_others_are_stored(documents: CardDocuments, store: ContentStore):
    high = msgspec.structs.replace(CARD, royalty_basis_points=10_001)
    first, bad, last = await documents.persist([CARD, high, msgspec.structs.replace(CARD, serial=8)])
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(bad, InvalidMetadata)
    assert (bad.code, bad.field, bad.maximum) == ("royalty_too_high", "seller_fee_basis_points", 10_000)
    assert len({first.uri, last.uri}) == 2
    assert (await store.index.totals())[0] == 2


async def test_documents_that_somebody_else_wrote_get_the_one_form(documents: CardDocuments, store: ContentStore):
    loose = b'{ "symbol": "X",  "name": "Pikachu  #1" }'
    strict = b'{"name":"Pikachu #1","symbol":"X"}'
    first, second, bad = await documents.persist_documents([loose, strict, b'{"name":1}'])
    assert first == second
    assert isinstance(first, Document)
    assert await document_at(store, first.uri) == {"name": "Pikachu #1", "symbol": "X"}
    assert isinstance(bad, InvalidMetadata)


async def test_copies_are_described_as_the_catalog_has_them(pool: Pool, documents: CardDocuments, store: ContentStore):
    ann = (await UserStore(pool).create("ann", "ann@example.org", "hash")).user_id
    row = CardRow(
        "base", "4", "Charizard", "rare", "Base Set", "Hot.", {"Type": "Fire"}, 10, ["/media/cards/base-4.webp"]
    )
    await CatalogWriting(pool).put([row], ann, NOW)
    card = await pool.fetchval("SELECT card_id FROM cards WHERE number = '4'")
    copies = await Copies(pool).make(NewCopies(card, 2, ann, "PSA", 95), NOW)
    assert isinstance(copies, list)
    await Copies(pool).set_royalty(card, [(ann, 300), (ann, 200)])
    found = await minted_cards(pool, [*copies, 7])
    assert found == {
        copy: MintedCard(
            "Charizard", "base", "Base Set", "4", "rare", serial, "Hot.", {"Type": "Fire"}, 10, "PSA", 95,
            ("/media/cards/base-4.webp",), None, 500,
        )
        for serial, copy in enumerate(copies, 1)
    }  # fmt: skip
    assert all(isinstance(one, Document) for one in await documents.persist(list(found.values())))


async def test_a_batch_is_stored_once_with_its_jobs(pool: Pool, store: ContentStore, tmp_path: Path):
    copying = ContentStore(store.index, store.files, lambda: NOW, ["pin_content", "upload_arweave"])
    small = [Content(b"%d" % (number % 1_500), "text/plain") for number in range(2_500)]
    large = Content(bytes(BODY_BYTES_MAX + 1), "image/png")
    stored = await copying.put_many([*small, large])
    assert [one.cid for one in stored] == [file_cid(one.data) for one in [*small, large]]
    assert (await store.index.totals())[0] == 1_501
    assert {one.kind: one.waiting for one in await JobStore(pool).status()} == {
        "pin_content": 1_501, "upload_arweave": 1_501,
    }  # fmt: skip
    await copying.put_many([*small, large])
    assert (await store.index.totals())[0] == 1_501
    assert [path.name for path in (tmp_path / "content").rglob("b*")] == [stored[-1].cid.text]


async def test_content_has_a_limit(store: ContentStore):
    with pytest.raises(ContentTooLarge):
        await store.put(bytes(CONTENT_BYTES_MAX + 1), "image/png")


async def test_a_stream_is_a_file_until_it_was_read(store: ContentStore, tmp_path: Path):
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(4):
            yield bytes([number]) * 100_000

    whole = b"".join([piece async for piece in pieces()])
    async with store.receive(pieces(), len(whole)) as incoming:
        assert (incoming.path.read_bytes(), incoming.node.cid) == (whole, file_cid(whole))
    with pytest.raises(ContentTooLarge):
        async with store.receive(pieces(), len(whole) - 1):
            pass
    assert [path for path in (tmp_path / "content").rglob("*") if path.is_file()] == []
    assert await store.index.get(file_cid(whole).text) is None


async def test_content_counts_for_who_stored_it_first(pool: Pool, store: ContentStore):
    users = UserStore(pool)
    ann, bob = [(await users.create(name, f"{name}@example.org", "hash")).user_id for name in ("anna", "bobby")]
    picture, other = Content(b"a picture", "image/png"), Content(b"another", "image/png")
    await store.put_many([picture], ann)
    assert await store.put_many([picture, other], bob) == await store.put_many([picture, other])
    assert [await store.index.uploaded(user, NOW + 1) for user in (ann, bob)] == [len(picture.data), len(other.data)]


async def test_a_row_without_its_file_is_damaged_until_it_is_stored_again(store: ContentStore):
    large = bytes(BODY_BYTES_MAX + 1)
    cid = (await store.put(large, "image/png")).cid
    store.files.path(cid).unlink()
    with pytest.raises(ContentDamaged):
        await store.find(cid)
    await store.put(large, "image/png")
    assert (await store.find(cid)) is not None


async def test_content_without_a_copy_is_found_page_by_page(store: ContentStore):
    stored = await store.put_many([Content(b"%d" % number, "text/plain") for number in range(25)])
    cids = sorted(one.cid.text for one in stored)
    await store.index.record_copies("ipfs", [(cids[3], None)], "stored", NOW)
    await store.index.record_copies("ipfs", [(cids[4], None)], "requested", NOW)
    found: list[str] = []
    while page := await store.index.missing("ipfs", found[-1] if found else "", 10):
        found += page
    assert found == cids[:3] + cids[4:]
