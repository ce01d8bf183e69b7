"""A small file system for the data of an engine, which can be made full, and flushes that can be made slow."""

import shutil
import subprocess
from pathlib import Path

from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guarded
from persistence.postgres.pool import close_pool, open_pool

DISK_BYTES = 6 * 1024**3
# Less than the reserve below which the supervisor makes the database read-only.
LEFT_BYTES = 256 * 1024
# What PostgreSQL takes at most (microseconds).
DELAY_US_MAX = 100_000
MOUNT_DEADLINE_S = 10


class SmallDisk:
    """A file system in memory, which takes only what is written to it."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @staticmethod
    def mounted_on(home: Path) -> "SmallDisk | None":
        """None where this user can't mount one."""
        done = _mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(home))
        return SmallDisk(home) if done else None

    def unmount(self) -> None:
        """At the end."""
        subprocess.run(["umount", "--lazy", str(self._home)], check=False, timeout=MOUNT_DEADLINE_S)

    def fill(self) -> None:
        """From now on it has no room."""
        used = shutil.disk_usage(self._home).used
        _mount("-o", f"remount,size={used + LEFT_BYTES}", str(self._home))

    def free(self) -> None:
        """It has room again."""
        _mount("-o", f"remount,size={DISK_BYTES}", str(self._home))


def _mount(*arguments: str) -> bool:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False, timeout=MOUNT_DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


async def delay_flushes(database_url: str, seconds: float) -> bool:
    """Have PostgreSQL wait before each flush of its log; 0: no longer. False where it does not answer."""
    delay_us = min(DELAY_US_MAX, round(seconds * 1e6))
    try:
        pool = await open_pool(database_url, size_max=1)
    except StoreError:
        return False
    try:
        # Not within a transaction, so one by one. No value comes from outside.
        await guarded(pool.execute(f"ALTER SYSTEM SET commit_delay = {delay_us}"))
        await guarded(pool.execute("ALTER SYSTEM SET commit_siblings = 0"))
        await guarded(pool.execute("SELECT pg_reload_conf()"))
    except StoreError:
        return False
    finally:
        await close_pool(pool)
    return True
