"""`ece content` over a real database and a content directory."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.content.store import BODY_BYTES_MAX, Content, ContentStore
from chain.storage.cids import Cid
from chain.storage.files import ContentFiles
from ece.cli import app
from persistence.content.index import ContentIndex
from persistence.jobs.store import JobStore
from persistence.postgres.pool import Pool, close_pool, open_pool

LARGE = bytes(BODY_BYTES_MAX + 1)


@pytest.fixture
def files(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> ContentFiles:
    monkeypatch.setenv("ECE_DATABASE_URL", database_url)
    monkeypatch.setenv("ECE_DATA_DIR", str(tmp_path))
    return ContentFiles(tmp_path / "content")


async def stored(database_url: str, files: ContentFiles) -> list[str]:
    pool = await open_pool(database_url, size_max=2)
    await pool.execute("DELETE FROM jobs; DELETE FROM content_copies; DELETE FROM content")
    store = ContentStore(ContentIndex(pool), files, lambda: 1)
    made = await store.put_many([Content(b"{}", "application/json"), Content(LARGE, "image/png")])
    await store.index.record_copies("ipfs", [(made[0].cid.text, None)], "stored", 1)
    await close_pool(pool)
    return [one.cid.text for one in made]


async def ece(*arguments: str) -> tuple[int, str]:
    """The command has an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["content", *arguments])
    return result.exit_code, result.stdout


async def test_status_counts_content_and_copies(database_url: str, files: ContentFiles):
    await stored(database_url, files)
    code, output = await ece("status", "--json")
    assert (code, json.loads(output)) == (
        0, {"content": 2, "bytes": len(LARGE) + 2, "copies": [{"service": "ipfs", "state": "stored", "count": 1}]},
    )  # fmt: skip


async def test_verify_finds_damage(database_url: str, files: ContentFiles):
    _, cid = await stored(database_url, files)
    assert await ece("verify", "--json") == (0, '{"checked": 2, "damaged": 0, "findings": []}\n')
    files.path(Cid.parse(cid)).write_bytes(LARGE[:-1] + b"!")
    code, output = await ece("verify", "--json")
    found = json.loads(output)
    assert (code, found["checked"], found["damaged"]) == (1, 2, 1)
    assert cid in found["findings"][0]


async def test_copy_adds_jobs_for_what_has_no_copy(
    pool: Pool, database_url: str, files: ContentFiles, monkeypatch: pytest.MonkeyPatch
):
    _, large = await stored(database_url, files)
    monkeypatch.setenv("ECE_IPFS_API_URL", "http://127.0.0.1:5001")
    code, _ = await ece("copy")
    jobs = await JobStore(pool).page(None, None, ("", ""), 10)
    assert (code, [(job.kind, job.key) for job in jobs]) == (0, [("pin_content", large)])
