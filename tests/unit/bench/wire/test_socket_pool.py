"""Sockets of many bidders within a bound, and the accounts behind them."""

import pytest

from bench.wire.accounts import Account, Roster, username_of
from bench.wire.socket_pool import ClientPool, sockets_allowed
from ece_client import Client, ConnectionLost
from tests.unit.bench.wire.wire_server import Session, serving


async def keep(session: Session) -> None:
    await session.greet()
    await session.socket.wait_closed()


def tokens(sessions: list[Session]) -> list[str]:
    return [session.frames[0]["token"] for session in sessions]


def pool_of(url: str, sockets_max: int) -> ClientPool:
    return ClientPool(lambda bidder: Client(url, token=bidder), sockets_max)


async def test_a_bidders_socket_is_opened_once_and_used_again():
    async with serving(keep) as (url, sessions):
        pool = pool_of(url, 10)
        for _ in range(3):
            async with pool.lease("ann"):
                pass
        assert pool.opened == 1
        await pool.close()
    assert tokens(sessions) == ["ann"]


async def test_the_least_recently_used_idle_socket_makes_room():
    async with serving(keep) as (url, sessions):
        pool = pool_of(url, 2)
        for bidder in ("ann", "bob", "ann", "cid", "ann"):
            async with pool.lease(bidder):
                pass
        assert tokens(sessions) == ["ann", "bob", "cid"]
        await sessions[1].socket.wait_closed()
        assert pool.opened == 3
        await pool.close()


async def test_a_socket_in_use_is_never_closed_for_another():
    async with serving(keep) as (url, sessions):
        pool = pool_of(url, 1)
        async with pool.lease("ann"), pool.lease("bob"):
            pass
        async with pool.lease("ann"):
            pass
        assert tokens(sessions) == ["ann", "bob"]
        await pool.close()


async def test_a_client_that_can_not_connect_is_made_anew_the_next_time():
    async def refuse_once(session: Session) -> None:
        if session.number == 0:
            await session.next()
            await session.socket.close(4501)
            return
        await keep(session)

    async with serving(refuse_once) as (url, sessions):
        pool = pool_of(url, 1)
        with pytest.raises(ConnectionLost):
            async with pool.lease("ann"):
                pass
        async with pool.lease("ann"):
            pass
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
