"""A disk that fills up under load: `unavailable` while it lasts, and nothing acknowledged is lost.

Everything that the engine writes stands on one small file system: data, logs, sockets, Ray's session, what `up` says.
"""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from engines import Up

from tests.faults.scene import Scene, until

pytestmark = pytest.mark.timeout(300)

DISK_BYTES = 640 * 1024 * 1024
RESERVE_BYTES = 64 * 1024 * 1024
PAGE_BYTES = 4096
FILL_ATTEMPTS_MAX = 1000


class SmallDisk:
    """A file system, and a file that fills it up."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._ballast = home / "ballast"

    def fill(self, leaving_bytes: int) -> None:
        """Take all that is free but for this. The engine writes meanwhile: if what was free is gone, take less."""
        most = DISK_BYTES
        with self._ballast.open("wb") as ballast:
            for _ in range(FILL_ATTEMPTS_MAX):
                wanted = min(most, self._free_bytes() - leaving_bytes)
                if wanted <= 0:
                    return
                try:
                    os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, wanted)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    most = max(PAGE_BYTES, wanted // 2)
        raise AssertionError(f"{self._free_bytes()} bytes are still free, {leaving_bytes} were to be left")

    def _free_bytes(self) -> int:
        there = os.statvfs(self.home)
        return there.f_bavail * there.f_frsize

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    with tempfile.TemporaryDirectory(prefix="ece-disk-") as home:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", home],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            yield SmallDisk(Path(home))
        finally:
            subprocess.run(["umount", "--lazy", home], check=True)


@pytest.fixture(scope="module")
def up(disk: SmallDisk) -> Iterator[Up]:
    mine = Up(
        disk.home,
        ECE_BCRYPT_COST="4",
        ECE_DISK_RESERVE_BYTES=str(RESERVE_BYTES),
        ECE_RUNTIME_DIR=str(disk.home / "run"),
    )
    with closing(mine):
        mine.start()
        mine.wait_until_ready()
        yield mine


@pytest.fixture
def scene(up: Up) -> Scene:
    state = up.wait_until_ready()
    return Scene(state.url, state.database_url, up.key_secrets)


async def readiness(url: str) -> tuple[int, dict[str, Any]]:
    """The status of /readyz, and the state of each part."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/readyz", timeout=10)
    return answer.status_code, {name: part["status"] for name, part in answer.json()["parts"].items()}


async def until_ready(url: str) -> None:
    async def ready() -> bool:
        return (await readiness(url))[0] == 200

    await until(ready, "/readyz answers 200")


async def unavailable_answers(scene: Scene, number: int) -> None:
    wanted = scene.recording.rejected.count("unavailable") + number
    await until(lambda: scene.recording.rejected.count("unavailable") >= wanted, f"{number} times `unavailable`")


async def test_below_the_reserve_bids_are_unavailable_until_there_is_room(up: Up, disk: SmallDisk, scene: Scene):
    postgres = up.child("postgres")
    async with scene:
        scene.start()
        await scene.more_acks(300)
        disk.fill(RESERVE_BYTES // 2)
        await unavailable_answers(scene, 20)
        status, parts = await readiness(up.url)
        assert (status, parts["database"]) == (503, "read_only")
        disk.free()
        await scene.more_acks(300)
        await until_ready(up.url)
        assert await scene.finish() == []
    assert up.child("postgres") == postgres
    assert up.output.count("takes no writes until 80 MB are") == 1
    assert up.output.count("has room again: the database takes writes") == 1


async def panic(database_url: str) -> None:
    """Have PostgreSQL need new log files until it can't go on."""

    async def gone() -> bool:
        try:
            connection = await asyncpg.connect(database_url, timeout=10)
            while True:
                await connection.execute("SELECT pg_logical_emit_message(false, '', repeat('x', 1000000))")
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return True
        except asyncpg.PostgresError:
            return False

    await until(gone, "PostgreSQL has crashed")


async def test_a_disk_that_is_full_at_once_crashes_postgresql_and_room_made_later_brings_it_back(
    up: Up, disk: SmallDisk, scene: Scene
):
    async with scene:
        scene.start()
        await scene.more_acks(300)
        disk.fill(0)
        await panic(scene.database_url)
        await unavailable_answers(scene, 20)
        await until(lambda: up.child("postgres") is None, "PostgreSQL has not come back by itself")
        assert (await readiness(up.url))[0] == 503
        disk.free()
        await scene.more_acks(300)
        await until_ready(up.url)
        assert await scene.finish() == []
    assert "PostgreSQL serves again" in up.output
