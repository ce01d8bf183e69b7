"""A set is minted from copies that its creator still has when they are locked."""

from typing import Any

from domain.errors import NOTHING_TO_MINT
from persistence.minting.requests import MintOrder, MintRefused, MintRequests

ANN, BOB, SET, NOW = 1, 2, 5, 1_000
ORDER = MintOrder(9, ANN, "token-2022", NOW)
FREE, SOLD, LISTED, MINTED = range(11, 15)
# As they are once they are locked: all of them were free when they were found.
LOCKED = {
    FREE: (ANN, "free", False),
    SOLD: (BOB, "free", False),
    LISTED: (ANN, "listed", False),
    MINTED: (ANN, "free", True),
}


class Rows:
    """A connection of a pool; ``queued``: the copies that get jobs, ``total`` of the request."""

    def __init__(self, *found: int) -> None:
        self._found = found
        self._locked = False
        self.queued: list[int] = []
        self.total = 0

    def acquire(self) -> "Rows":
        return self

    def transaction(self) -> "Rows":
        return self

    async def __aenter__(self) -> "Rows":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def fetchval(self, query: str, *_: Any, **__: Any) -> int | None:
        return SET if "FROM card_sets" in query else None

    async def fetch(self, query: str, *arguments: Any, **_: Any) -> list[tuple[Any, ...]]:
        if "DISTINCT creator_id" in query:
            return [(ANN,)]
        if "FOR NO KEY UPDATE OF k" in query:
            return [(100 + copy, copy) for copy in self._found]
        if "LEFT JOIN assets" in query:
            assert self._locked, "only then it stays"
            return [(copy, *LOCKED[copy]) for copy in arguments[0]]
        return []

    async def execute(self, query: str, *arguments: Any, **_: Any) -> None:
        if "INSERT INTO mints" in query:
            self.total = arguments[3]
        elif "INSERT INTO assets" in query:
            self.queued = list(arguments[0])
        elif query.startswith("SELECT FROM copies"):
            self._locked = True


async def asked(rows: Rows) -> MintRefused | None:
    pool: Any = rows
    return await MintRequests(pool).card_set(ORDER, "base")


async def test_what_was_sold_listed_or_minted_meanwhile_is_left_out():
    rows = Rows(FREE, SOLD, LISTED, MINTED)
    assert await asked(rows) is None
    assert (rows.queued, rows.total) == ([FREE], 1)


async def test_a_set_of_which_nothing_is_left_is_refused():
    assert await asked(Rows(SOLD)) == MintRefused(NOTHING_TO_MINT)
