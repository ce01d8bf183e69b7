"""Sockets of many bidders within a bound, and the accounts behind them."""

import pytest

from bench.wire.accounts import Account, Roster, username_of
from bench.wire.client import WireClient
from bench.wire.socket_pool import SocketPool, sockets_allowed
from tests.unit.bench.wire.wire_server import Session, serving


async def keep(session: Session) -> None:
    await session.greet()
    await session.socket.wait_closed()


def tokens(sessions: list[Session]) -> list[str]:
    return [session.frames[0]["token"] for session in sessions]


async def test_a_bidders_socket_is_opened_once_and_used_again():
    async with serving(keep) as (url, sessions):
        pool = SocketPool(lambda bidder: WireClient.connect(url, bidder), 10)
        for _ in range(3):
            async with pool.lease("ann") as dial:
                await dial()
        await pool.close()
    assert tokens(sessions) == ["ann"]


async def test_the_least_recently_used_idle_socket_makes_room():
    async with serving(keep) as (url, sessions):
        pool = SocketPool(lambda bidder: WireClient.connect(url, bidder), 2)
        for bidder in ("ann", "bob", "ann", "cid"):
            async with pool.lease(bidder) as dial:
                await dial()
        async with pool.lease("ann") as dial:
            await dial()
        assert tokens(sessions) == ["ann", "bob", "cid"]
        await sessions[1].socket.wait_closed()
        await pool.close()


async def test_a_socket_in_use_is_never_closed_for_another():
    async with serving(keep) as (url, _):
        pool = SocketPool(lambda bidder: WireClient.connect(url, bidder), 1)
        async with pool.lease("ann") as dial_ann:
            ann = await dial_ann()
            async with pool.lease("bob") as dial_bob:
                await dial_bob()
            assert ann.closed is None
        await pool.close()


async def test_a_lost_socket_is_opened_again():
    async with serving(keep) as (url, sessions):
        pool = SocketPool(lambda bidder: WireClient.connect(url, bidder), 2)
        async with pool.lease("ann") as dial:
            first = await dial()
            first.cut()
            await first.wait_closed()
            assert (await dial()).closed is None
        await pool.close()
    assert tokens(sessions) == ["ann", "ann"]


def test_no_more_sockets_are_allowed_than_asked_for():
    assert sockets_allowed(5) == 5


@pytest.mark.parametrize("name", ["admin", "Ann", "bidder0001", "x" * 60, "no spaces", "мария", "a/b", ""])
def test_a_recorded_bidder_becomes_a_plain_name_that_no_real_user_has(name):
    username = username_of(name)
    assert username.startswith("ebay_")
    assert username.isascii()
    assert username.replace("_", "").isalnum()
    assert username == username.lower()
    assert len(username) <= 25


def test_different_bidders_stay_different():
    names = ["Ann", "ann", "ANN", "a nn", "x" * 60, "x" * 61]
    assert len({username_of(name) for name in names}) == len(names)


class CountingAccounts:
    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str | None]] = []

    async def provision(self, names: list[str], role: str | None = None) -> dict[str, Account]:
        self.calls.append((names, role))
        return {name: Account("1", name, f"{name}-{len(self.calls)}") for name in names}


async def test_a_roster_provides_all_at_once_and_renews_one_token_with_its_role():
    accounts = CountingAccounts()
    roster = Roster(accounts)
    await roster.enlist(["op"], "operator")
    await roster.enlist(["ann", "bob"])
    assert roster.token("bob") == "bob-2"
    assert await roster.renewed_token("op") == "op-3"
    assert roster.token("op") == "op-3"
    assert accounts.calls == [(["op"], "operator"), (["ann", "bob"], None), (["op"], "operator")]


def test_a_token_does_not_show_in_a_printed_account():
    assert "secret" not in repr(Account("1", "ann", "secret"))
