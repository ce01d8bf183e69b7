"""The content store of a process, and the jobs that copy content to the services that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.clock import Clock
from actors.content.pictures import CardPictures
from actors.content.store import ContentStore
from actors.scanning.scanner import Scanner
from actors.workers.content_copies import (
    PIN_CONTENT,
    REQUEST_PIN,
    UPLOAD_ARWEAVE,
    PinContent,
    RemoveAbandonedFiles,
    RequestPin,
    UploadArweave,
)
from actors.workers.job import Job
from actors.workers.pictures import FingerprintPictures
from chain.signing import LocalSigner, Signer
from chain.storage.files import ContentFiles
from chain.storage.remotes.arweave import ArweaveUploads
from chain.storage.remotes.http import RemoteHttp
from chain.storage.remotes.kubo import KuboNode
from chain.storage.remotes.pinning_service import PinningService
from chain.wallets.key_files import keypair_in
from chain.wallets.platform_keys import signer_from
from ece.data_dir import DataDir
from ece.settings import Settings, revealed
from persistence.catalog.fingerprints import CardFingerprints
from persistence.content.index import ContentIndex
from persistence.postgres.pool import Pool


def copy_jobs(settings: Settings) -> list[str]:
    """The kinds of jobs that new content gets."""
    wanted = {
        PIN_CONTENT: settings.ipfs_api_url,
        REQUEST_PIN: settings.pinning_url,
        UPLOAD_ARWEAVE: settings.arweave_upload_url,
    }
    return [kind for kind, url in wanted.items() if url is not None]


def content_files(settings: Settings) -> ContentFiles:
    """The content directory."""
    return ContentFiles(settings.content_dir or DataDir(settings.data_dir).content)


def content_store(settings: Settings, pool: Pool, clock: Clock) -> ContentStore:
    """The content store over the content directory."""
    return ContentStore(ContentIndex(pool), content_files(settings), clock.now_ms, copy_jobs(settings))


@asynccontextmanager
async def content_jobs(settings: Settings, pool: Pool, clock: Clock) -> AsyncIterator[list[Job]]:
    """The jobs of the content directory, of pictures, and of the services that are set. Raises UnusableKey."""
    store, http, now_ms = content_store(settings, pool, clock), RemoteHttp(), clock.now_ms
    scanner, pictures = Scanner(), CardPictures(store, DataDir(settings.data_dir).media)
    jobs: list[Job] = [
        RemoveAbandonedFiles(store.files),
        FingerprintPictures(CardFingerprints(pool), pictures, scanner, now_ms),
    ]
    node = None if settings.ipfs_api_url is None else KuboNode(http, revealed(settings.ipfs_api_url))
    if node is not None:
        jobs.append(PinContent(store, node, now_ms))
    if settings.pinning_url is not None:
        token = None if settings.pinning_token is None else revealed(settings.pinning_token)
        jobs.append(RequestPin(store, PinningService(http, settings.pinning_url, token), node, now_ms))
    if settings.arweave_upload_url is not None:
        uploads = ArweaveUploads(http, settings.arweave_upload_url)
        jobs.append(UploadArweave(store, uploads, _arweave_signer(settings), now_ms))
    try:
        yield jobs
    finally:
        await scanner.close()
        await http.close()


def _arweave_signer(settings: Settings) -> Signer:
    if settings.arweave_key is None:
        return LocalSigner(keypair_in(DataDir(settings.data_dir).chain_secrets / "arweave.json"))
    token = None if settings.chain_signer_token is None else revealed(settings.chain_signer_token)
    return signer_from("arweave", revealed(settings.arweave_key), token)
