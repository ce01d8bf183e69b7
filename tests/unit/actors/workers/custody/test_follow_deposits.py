"""A wallet whose history can't be read delays its own deposits, and not those of others."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from actors.workers.custody.deposits import FollowDeposits
from chain.rpc.errors import ChainUnavailable
from persistence.wallets.deposits import Arrival, FollowedWallet, Read

NOW = 1_000
ANN, BOB, CAROL = (FollowedWallet(user, f"wallet {user}") for user in (1, 2, 3))


class Rows:
    """The database; ``credited``: what arrived, by user."""

    def __init__(self, watched: Sequence[FollowedWallet] = ()) -> None:
        self._watched = watched
        self.credited: list[tuple[int, str]] = []
        self.position: dict[int, FollowedWallet] = {}

    async def watched(self, now_ms: int, limit: int) -> Sequence[FollowedWallet]:
        return self._watched

    async def wallets(self, after_user: int, limit: int) -> Sequence[FollowedWallet]:
        return [wallet for wallet in (ANN, BOB, CAROL) if wallet.user > after_user][:limit]

    async def credit(
        self, wallet: FollowedWallet, arrivals: Sequence[Arrival], read: Read, currency: str, now_ms: int
    ) -> int:
        self.credited += [(wallet.user, arrival.signature) for arrival in arrivals]
        self.position[wallet.user] = FollowedWallet(wallet.user, wallet.address, *msgspec.structs.astuple(read))
        return len(arrivals)


class Chain:
    """One deposit at each wallet; ``lacking``: whose transactions the endpoint does not have."""

    currency = "USDC"

    def __init__(self, *lacking: FollowedWallet) -> None:
        self._lacking = [wallet.address for wallet in lacking]

    def account_of(self, wallet: str) -> str:
        return wallet

    async def balances(self, accounts: Sequence[str]) -> Sequence[int]:
        return [5] * len(accounts)

    async def history(self, account: str, before: str | None, until: str | None, limit: int) -> Sequence[Any]:
        return [(f"to {account}", 10, False)]

    async def arrived(self, signature: str, account: str) -> int:
        if account in self._lacking:
            raise ChainUnavailable(f"the endpoint does not have {signature}")
        return 5


def follow(rows: Rows, chain: Chain) -> FollowDeposits:
    parts: Any = (rows, chain)
    return FollowDeposits(*parts, lambda: NOW)


async def test_the_others_are_credited_and_the_run_counts_as_failed():
    rows = Rows(watched=[ANN])
    with pytest.raises(ChainUnavailable, match="to wallet 1"):
        await follow(rows, Chain(ANN)).run([])
    assert rows.credited == [(2, "to wallet 2"), (3, "to wallet 3")]


async def test_the_same_holds_for_wallets_that_are_looked_at_together():
    rows = Rows()
    with pytest.raises(ChainUnavailable):
        await follow(rows, Chain(ANN, BOB)).look_at([ANN, BOB, CAROL])
    assert rows.credited == [(3, "to wallet 3")]


class Slow(Chain):
    """A long history of ann's, of an endpoint that answers so many calls in a run."""

    def __init__(self, length: int, calls: int) -> None:
        super().__init__()
        self._history = [(str(number), number, False) for number in reversed(range(length))]
        self._calls = calls
        self.left = 0

    async def balances(self, accounts: Sequence[str]) -> Sequence[int]:
        self.left = self._calls
        return [5] * len(accounts)

    async def history(self, account: str, before: str | None, until: str | None, limit: int) -> Sequence[Any]:
        names = [one[0] for one in self._history]
        first = 0 if before is None else names.index(before) + 1
        return self._history[first : len(names) if until is None else names.index(until)][:limit]

    async def arrived(self, signature: str, account: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise ChainUnavailable("too many calls")
        return 5


async def test_a_history_that_is_too_long_for_one_run_is_read_in_several():
    rows, runs = Rows(), 0
    job = follow(rows, Slow(length=450, calls=150))
    while len(rows.credited) < 450 and runs < 10:
        runs += 1
        with suppress(ChainUnavailable):
            await job.look_at([rows.position.get(ANN.user, ANN)])
    assert sorted(int(signature) for _, signature in rows.credited) == list(range(450))
    assert rows.position[ANN.user] == FollowedWallet(ANN.user, ANN.address, "449")


async def test_all_are_credited_where_all_can_be_read():
    rows = Rows()
    assert await follow(rows, Chain()).run([]) == []
    assert rows.credited == [(1, "to wallet 1"), (2, "to wallet 2"), (3, "to wallet 3")]
