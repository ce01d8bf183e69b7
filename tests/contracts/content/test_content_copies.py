"""Copies of content on other services: made once, of the right content, and again after any failure."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from job_runs import run_due
from solders.keypair import Keypair

from actors.content.store import Content, ContentStore
from actors.workers.content_copies import (
    PIN_CONTENT,
    PINNED_WITHIN_MS,
    REQUEST_PIN,
    UPLOAD_ARWEAVE,
    PinContent,
    PinTooSlow,
    RequestPin,
    UploadArweave,
)
from chain.signing import LocalSigner
from chain.storage.cids import Cid
from chain.storage.errors import ContentDamaged
from chain.storage.files import ContentFiles
from chain.storage.remotes.arweave import ArweaveUploads
from chain.storage.remotes.http import RemoteError, RemoteHttp, RemoteInvalid, RemoteRefused, RemoteUnavailable
from chain.storage.remotes.kubo import KuboNode
from chain.storage.remotes.pinning_service import PinningService
from persistence.content.index import ContentIndex
from persistence.jobs.store import Claimed, JobStore
from persistence.postgres.pool import Pool
from tests.contracts.content.storage_servers import Answer, ArweaveServer, KuboServer, PinningServer

LARGE = bytes(range(256)) * 3_000 + b"end"
NOW = 1_795_393_927_132


@dataclass
class Services:
    """The three servers, the jobs that talk to them, and a clock."""

    store: ContentStore
    kubo: KuboServer
    pinning: PinningServer
    arweave: ArweaveServer
    pin: PinContent
    request_pin: RequestPin
    upload: UploadArweave
    now: list[int]

    async def states(self, cid: Cid) -> dict[str, tuple[str, str | None]]:
        copies = await self.store.index.copies([cid.text])
        return {copy.service: (copy.state, copy.remote_id) for copy in copies}


@pytest.fixture
async def services(pool: Pool, tmp_path: Path) -> AsyncIterator[Services]:
    await pool.execute("DELETE FROM jobs; DELETE FROM content_copies; DELETE FROM content")
    now = [NOW]
    store = ContentStore(
        ContentIndex(pool), ContentFiles(tmp_path), lambda: now[0], [PIN_CONTENT, REQUEST_PIN, UPLOAD_ARWEAVE]
    )
    kubo, pinning, arweave, http = KuboServer(), PinningServer("token"), ArweaveServer(), RemoteHttp()
    async with AsyncExitStack() as stack:
        for server in (kubo, pinning, arweave):
            await stack.enter_async_context(server.running())
        stack.push_async_callback(http.close)
        node = KuboNode(http, kubo.url)
        signer = LocalSigner(Keypair.from_seed(bytes(32)))
        yield Services(
            store, kubo, pinning, arweave,
            PinContent(store, node, lambda: now[0]),
            RequestPin(store, PinningService(http, pinning.url, "token"), node, lambda: now[0]),
            UploadArweave(store, ArweaveUploads(http, f"{arweave.url}/tx"), signer, lambda: now[0]),
            now,
        )  # fmt: skip


async def claimed(pool: Pool, kind: str) -> list[Claimed]:
    return await JobStore(pool, lease_ms=0).claim({kind: 100}, "test")


async def test_new_content_is_pinned_on_the_node_a_batch_in_one_file(pool: Pool, services: Services):
    documents = [Content(b'{"name":"%d"}' % number, "application/json") for number in range(40)]
    stored = await services.store.put_many([*documents, Content(LARGE, "image/png")])
    await run_due(pool, services.pin)
    assert services.kubo.requests == 1
    assert services.kubo.pinned == {one.cid.text for one in stored}
    assert services.kubo.file(stored[-1].cid.binary) == LARGE
    assert (await services.states(stored[0].cid))["ipfs"] == ("stored", None)


async def test_content_that_is_stored_again_is_not_copied_again(pool: Pool, services: Services):
    await services.store.put(LARGE, "image/png")
    await run_due(pool, services.pin)
    await services.store.put(LARGE, "image/png")
    await run_due(pool, services.pin)
    assert services.kubo.requests == 1


async def test_a_damaged_file_is_never_sent_as_the_content(pool: Pool, services: Services):
    stored = await services.store.put(LARGE, "image/png")
    services.store.files.path(stored.cid).write_bytes(LARGE[::-1])
    for job in (services.pin, services.upload):
        with pytest.raises(ContentDamaged):
            await run_due(pool, job)
    assert (services.kubo.requests, services.arweave.items) == (0, {})


async def test_damage_that_the_file_system_does_not_show_is_found_while_sending(pool: Pool, services: Services):
    stored = await services.store.put(LARGE, "image/png")
    await services.store.find(stored.cid)
    path = services.store.files.path(stored.cid)
    before = path.stat()
    path.write_bytes(LARGE[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await services.store.find(stored.cid) is not None
    for job in (services.pin, services.upload):
        with pytest.raises(ContentDamaged):
            await run_due(pool, job)
    assert (services.kubo.pinned, services.arweave.items) == (set(), {})
    assert await services.states(stored.cid) == {}


async def test_content_is_uploaded_to_arweave_as_signed_items(pool: Pool, services: Services):
    document, picture = await services.store.put_many([Content(b"{}", "application/json"), Content(LARGE, "image/png")])
    await run_due(pool, services.upload)
    found = {data: tags for tags, data in services.arweave.items.values()}
    assert found == {
        b"{}": {"Content-Type": "application/json", "IPFS-CID": document.cid.text},
        LARGE: {"Content-Type": "image/png", "IPFS-CID": picture.cid.text},
    }
    state, id = (await services.states(picture.cid))["arweave"]
    assert state == "stored"
    assert services.arweave.items[id or ""][1] == LARGE
    assert len(base64.urlsafe_b64decode((id or "") + "=")) == 32


async def test_an_upload_that_is_repeated_has_the_same_id(pool: Pool, services: Services):
    await services.store.put_many([Content(b"{}", "application/json"), Content(LARGE, "image/png")])
    jobs = await claimed(pool, UPLOAD_ARWEAVE)
    await services.upload.run(jobs)
    await pool.execute("DELETE FROM content_copies")
    await services.upload.run(jobs)
    assert (services.arweave.requests, len(services.arweave.items)) == (4, 2)


async def test_a_pinning_service_is_asked_once_and_waited_for(pool: Pool, services: Services):
    stored = await services.store.put(LARGE, "image/png")
    jobs = await claimed(pool, REQUEST_PIN)
    for state in ("queued", "pinning"):
        services.pinning.state = state
        assert [one.job for one in await services.request_pin.run(jobs)] == jobs
        assert (await services.states(stored.cid))["pinning"] == ("requested", "request-0")
    services.pinning.state = "pinned"
    assert await services.request_pin.run(jobs) == []
    assert (await services.states(stored.cid))["pinning"] == ("stored", "request-0")
    origins = ["/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW"]
    assert list(services.pinning.pins.values()) == [
        {"cid": stored.cid.text, "name": stored.cid.text, "origins": origins}
    ]
    asked = services.pinning.requests
    assert await services.request_pin.run(jobs) == []
    assert services.pinning.requests == asked


async def test_a_pin_that_failed_or_takes_for_ever_is_a_failed_attempt(pool: Pool, services: Services):
    await services.store.put(LARGE, "image/png")
    jobs = await claimed(pool, REQUEST_PIN)
    await services.request_pin.run(jobs)
    services.now[0] += PINNED_WITHIN_MS - 1
    await services.request_pin.run(jobs)
    services.now[0] += 2
    with pytest.raises(PinTooSlow):
        await services.request_pin.run(jobs)
    services.pinning.state = "failed"
    with pytest.raises(PinTooSlow):
        await services.request_pin.run(jobs)


FAULTS: list[tuple[Answer, type[RemoteError]]] = [
    ((500, b'{"Message":"no space left","Code":0,"Type":"error"}'), RemoteUnavailable),
    ((503, b""), RemoteUnavailable),
    ((429, b"slow down"), RemoteUnavailable),
    ((401, b'{"error":{"reason":"UNAUTHORIZED"}}'), RemoteRefused),
    ((402, b"no credit"), RemoteRefused),
    ((302, b""), RemoteRefused),
    ((200, b"<html>"), RemoteInvalid),
    ((200, b"\xff\xfe"), RemoteInvalid),
    ((200, b"[1]"), RemoteInvalid),
    ((200, b"{" * 100), RemoteInvalid),
    ((200, b'"' + b"x" * 2_000_000 + b'"'), RemoteInvalid),
]


@pytest.mark.parametrize("kind", [PIN_CONTENT, REQUEST_PIN, UPLOAD_ARWEAVE])
@pytest.mark.parametrize(("answer", "error"), FAULTS, ids=lambda value: str(value)[:30])
async def test_each_bad_answer_is_a_typed_error_and_the_next_attempt_succeeds(
    pool: Pool, services: Services, kind: str, answer: Answer, error: type[RemoteError]
):
    stored = await services.store.put(LARGE, "image/png")
    job = {PIN_CONTENT: services.pin, REQUEST_PIN: services.request_pin, UPLOAD_ARWEAVE: services.upload}[kind]
    server = {PIN_CONTENT: services.kubo, REQUEST_PIN: services.pinning, UPLOAD_ARWEAVE: services.arweave}[kind]
    services.pinning.state = "pinned"
    server.answer_with = [answer]
    jobs = await claimed(pool, kind)
    with pytest.raises(error):
        await job.run(jobs)
    assert await services.states(stored.cid) == {}
    assert await job.run(jobs) == []
    assert [state for state, _ in (await services.states(stored.cid)).values()] == ["stored"]


@pytest.mark.parametrize("kind", [PIN_CONTENT, REQUEST_PIN, UPLOAD_ARWEAVE])
async def test_another_id_than_that_of_the_content_does_not_count(pool: Pool, services: Services, kind: str):
    stored = await services.store.put(LARGE, "image/png")
    job = {PIN_CONTENT: services.pin, REQUEST_PIN: services.request_pin, UPLOAD_ARWEAVE: services.upload}[kind]
    for server in (services.kubo, services.pinning, services.arweave):
        server.lie = True
    with pytest.raises(RemoteInvalid):
        await job.run(await claimed(pool, kind))
    assert await services.states(stored.cid) == {}


async def test_a_service_that_is_away_is_unavailable_and_no_secret_is_shown(services: Services):
    http = RemoteHttp()
    node = KuboNode(http, "http://user:hunter2@127.0.0.1:1")
    with pytest.raises(RemoteUnavailable) as error:
        await node.addresses()
    await http.close()
    assert "hunter2" not in str(error.value)
    assert "127.0.0.1:1/api/v0/id" in str(error.value)


async def test_a_wrong_token_is_refused(pool: Pool, services: Services):
    await services.store.put(LARGE, "image/png")
    http = RemoteHttp()
    job = RequestPin(services.store, PinningService(http, services.pinning.url, "wrong"), None, lambda: NOW)
    with pytest.raises(RemoteRefused):
        await job.run(await claimed(pool, REQUEST_PIN))
    await http.close()
