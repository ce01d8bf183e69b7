"""Exports of users' data, and the deletion of accounts."""

import asyncio
import csv
import io
import json
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import IO, Any

from actors.workers.job import Job, Later
from domain.ids import parse_id
from persistence.accounts.collecting import BY_HAND, LEDGER, UserData
from persistence.accounts.deletions import DELETE_USER, Deletions
from persistence.accounts.exports import EXPORT_USER, PAGE_BYTES, Exports
from persistence.accounts.personal_tables import PERSONAL
from persistence.jobs.store import Claimed

EXPORT_BYTES_MAX = 256 * 1024 * 1024
ROWS_AT_ONCE = 1_000

README = """\
Everything that this exchange has stored about your account, as of one moment.

Times are milliseconds since 1970-01-01 UTC, days are days since then. Amounts are base units (USDC: 6 decimals).
A .json file has one list; each of its objects is one row.

ledger.csv: the entries of your accounts, the oldest first
bids.json: your bids, in auctions that have ended and in those that you lead
"""
NOT_HERE = "\nNot in it:\n\n"


class ExportTooLarge(Exception):
    """The ZIP would be larger than EXPORT_BYTES_MAX."""


class ExportUsers(Job):
    """``key``: the id of the export. Makes a ZIP in a temporary file, then stores it in pages."""

    kind = EXPORT_USER
    timeout_s = 300.0

    def __init__(
        self,
        exports: Exports,
        data_of: Callable[[int], AbstractAsyncContextManager[UserData]],
        now_ms: Callable[[], int],
        bytes_max: int = EXPORT_BYTES_MAX,
    ) -> None:
        self._exports = exports
        self._data_of = data_of
        self._now_ms = now_ms
        self._bytes_max = bytes_max

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        for job in jobs:
            await self._export(job, parse_id(job.key))
        return []

    async def _export(self, job: Claimed, export: int) -> None:
        user = await self._exports.user_of(export)
        if user is None:
            return None
        with tempfile.TemporaryFile() as file:
            try:
                async with self._data_of(user) as data:
                    await _Archive(file, self._bytes_max).write(data)
            except ExportTooLarge:
                return await self._exports.give_up(job, export, self._now_ms())
            await self._exports.finish(job, export, _pages(file), self._now_ms())
        return None


class DeleteUsers(Job):
    """``key``: a user, and when the account is due to be deleted."""

    kind = DELETE_USER

    def __init__(self, deletions: Deletions, now_ms: Callable[[], int]) -> None:
        self._deletions = deletions
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        delays = [(job, await self._deletions.carry_out(job, self._now_ms())) for job in jobs]
        return [Later(job, delay_ms) for job, delay_ms in delays if delay_ms]


class _Archive:
    """A ZIP of a user's data, written while it is read: no more than ROWS_AT_ONCE rows are in memory."""

    def __init__(self, file: IO[bytes], bytes_max: int) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._file = file
        self._bytes_max = bytes_max

    async def write(self, data: UserData) -> None:
        """All files. Raises ExportTooLarge."""
        with self._zip:
            self._zip.writestr("README.txt", readme())
            for name, table in PERSONAL.items():
                if table.export is not None and name not in BY_HAND:
                    await self._json(f"{table.export}.json", data.rows(name))
            await self._json("bids.json", data.bids())
            await self._csv("ledger.csv", data.ledger())

    async def _json(self, name: str, rows: AsyncIterator[dict[str, Any]]) -> None:
        before = "["
        with self._zip.open(name, "w", force_zip64=True) as entry:
            async for batch in _batches(rows):
                text = before + ",\n".join(json.dumps(row, ensure_ascii=False) for row in batch)
                await self._put(entry, text)
                before = ",\n"
            await self._put(entry, "[]\n" if before == "[" else "]\n")

    async def _csv(self, name: str, rows: AsyncIterator[tuple[Any, ...]]) -> None:
        with self._zip.open(name, "w", force_zip64=True) as entry:
            await self._put(entry, _csv_text([LEDGER]))
            async for batch in _batches(rows):
                await self._put(entry, _csv_text(batch))

    async def _put(self, entry: IO[bytes], text: str) -> None:
        # Compressing takes its time, and the worker runs other jobs.
        await asyncio.to_thread(entry.write, text.encode())
        if self._file.tell() > self._bytes_max:
            raise ExportTooLarge


def readme() -> str:
    """What each file has, and what is missing, and why."""
    files = (
        f"{table.export}.json: rows of the table {name}"
        for name, table in PERSONAL.items()
        if table.export and name not in BY_HAND
    )
    missing = (f"{name}: {table.reason}" for name, table in PERSONAL.items() if table.export is None)
    return README + "\n".join(files) + "\n" + NOT_HERE + "\n".join(missing) + "\n"


def _csv_text(rows: Iterable[tuple[Any, ...]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


async def _batches(rows: AsyncIterator[Any]) -> AsyncIterator[list[Any]]:
    batch: list[Any] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _pages(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while page := file.read(PAGE_BYTES):
        yield page
