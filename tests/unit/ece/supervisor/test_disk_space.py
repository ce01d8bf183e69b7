"""When the database is switched to read-only, and when back."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ece.supervisor import disk_space
from ece.supervisor.disk_space import DiskSpace, WriteSwitch
from ece.supervisor.terminal import Terminal
from persistence.postgres.errors import StoreUnavailable

RESERVE = 100


class Database:
    """Notes how it is switched; ``down``: it does not answer."""

    def __init__(self) -> None:
        self.switched: list[bool] = []
        self.down = False

    async def set_read_only(self, _url: str, *, read_only: bool) -> None:
        if self.down:
            raise StoreUnavailable("it does not answer")
        self.switched.append(read_only)


class Stage:
    """A disk whose free space a test sets, a database, and what was said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = Database()
        self.said = io.StringIO()
        self.free = 0
        monkeypatch.setattr(DiskSpace, "free_bytes", property(lambda _: self.free))
        monkeypatch.setattr(disk_space, "set_read_only", self.database.set_read_only)
        space = DiskSpace([Path("/")], RESERVE)
        self.switch = WriteSwitch(space, Path("/d"), "", Terminal(Console(file=self.said, width=300)))

    async def checks(self, *free: int) -> list[bool]:
        for self.free in free:
            await self.switch.check()
        return self.database.switched


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def test_writes_stop_below_the_reserve_and_go_on_a_quarter_above_it(stage):
    assert await stage.checks(100, 99, 0, 99, 100, 124, 125, 101, 99) == [False, True, False, True]
    said = stage.said.getvalue()
    assert said.count("is nearly full") == 2
    assert said.count("has room again") == 1


async def test_an_engine_that_starts_makes_sure_of_the_state_and_says_nothing_where_all_is_well(stage):
    assert await stage.checks(110, 110) == [False]
    assert stage.said.getvalue() == ""


async def test_a_database_that_does_not_answer_is_switched_as_soon_as_it_does(stage):
    stage.database.down = True
    await stage.checks(200, 10, 10)
    stage.database.down = False
    assert await stage.checks(10, 10) == [True]


def test_the_fullest_disk_counts(tmp_path):
    everything = DiskSpace([tmp_path], 2**62)
    assert (everything.low, everything.ample) == (True, False)
    nothing = DiskSpace([tmp_path], 0)
    assert (nothing.low, nothing.ample) == (False, True)
    assert DiskSpace([tmp_path, Path("/proc")], 1).low  # of /proc nothing is free
    assert not DiskSpace([tmp_path, tmp_path / "gone"], 1).low
