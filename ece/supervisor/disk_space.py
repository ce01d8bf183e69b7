"""Free disk space: below a reserve the embedded PostgreSQL refuses writes, before a full disk makes it crash."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from ece.supervisor.terminal import Terminal
from persistence.postgres.errors import StoreError
from persistence.postgres.read_only import set_read_only

CHECK_EVERY_S = 0.5
MB = 1024 * 1024


class DiskSpace:
    """The space left where these folders are. ``reserve_bytes`` is what should stay free."""

    def __init__(self, folders: Sequence[Path], reserve_bytes: int) -> None:
        self._folders = folders
        self.reserve_bytes = reserve_bytes

    @property
    def free_bytes(self) -> int:
        """What is free on the fullest of the disks; folders that are gone don't count."""
        return min((shutil.disk_usage(folder).free for folder in self._folders if folder.exists()), default=0)

    @property
    def low(self) -> bool:
        """Whether less than the reserve is free."""
        return self.free_bytes < self.reserve_bytes

    @property
    def ample(self) -> bool:
        """Whether a quarter more than the reserve is free, so that writes do not stop again at once."""
        return self.free_bytes >= self.reserve_bytes * 5 // 4


class WriteSwitch:
    """Makes a database read-only while the disk of its data is low."""

    def __init__(self, space: DiskSpace, folder: Path, database_url: str, terminal: Terminal) -> None:
        self._space = space
        self._folder = folder
        self._url = database_url
        self._terminal = terminal
        # None: the server may have been left in either state by an earlier engine.
        self._read_only: bool | None = None

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Switch if needed. If the database does not answer, the next check tries again."""
        wanted = not self._space.ample if self._read_only else self._space.low
        if wanted is self._read_only:
            return
        try:
            await set_read_only(self._url, read_only=wanted)
        except StoreError:
            return
        before, self._read_only = self._read_only, wanted
        if wanted:
            self._terminal.warning(
                f"The disk of {self._folder} is nearly full: {self._space.free_bytes // MB} MB are free. "
                f"The database takes no writes until {self._space.reserve_bytes * 5 // 4 // MB} MB are; "
                "bids are answered `unavailable`"
            )
        elif before:
            self._terminal.note(f"The disk of {self._folder} has room again: the database takes writes")
