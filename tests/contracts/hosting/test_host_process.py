"""A host and its directory on a real PostgreSQL: its heartbeat puts right what was not carried through."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from auction_examples import AUCTION, SELLER, terms
from auction_requests import cancel_request, open_request, state_in, state_request

from actors.hosting.commit.lease import LEASE_S
from actors.hosting.ownership import releases as releases_module
from actors.hosting.ownership.ownership import Assignment
from actors.hosting.ownership.releases import Returned
from actors.runtime import host_process as host_process_module
from actors.runtime.host_process import HostConfig, HostProcess
from actors.stream.messages import Answer, Open, Refused, Request, StateAnswer
from persistence.placement.directory import Directory, slot_of
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool

SLOTS = 4
HERE = slot_of(AUCTION, SLOTS)
ALL = tuple(range(SLOTS))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_process_module, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(releases_module, "RETURN_AFTER_S", 0.3)


@pytest.fixture
async def directory(pool: Pool) -> Directory:
    await pool.execute("TRUNCATE hosts, slots, dedicated, auctions, entity_events, entity_snapshots CASCADE")
    return Directory(pool)


@asynccontextmanager
async def serving(database_url: str, host_id: str) -> AsyncIterator[HostProcess]:
    """A host at work; nobody hears its news."""
    config = HostConfig(host_id, SLOTS, database_url, "redis://127.0.0.1:1/0", b"secret of this test")
    process = HostProcess(config)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


async def ask(process: HostProcess, request: Request) -> Answer:
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    assert process.host is not None
    process.host.submit(request, 1, lambda _, answer: future.set_result(answer))
    async with asyncio.timeout(10):
        return await future


async def said(process: HostProcess, request: Request | None = None) -> str:
    answer = await ask(process, request or state_request(AUCTION))
    return answer.code if isinstance(answer, Refused) else state_in(answer).placement


async def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 10
    while not await condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.02)


async def broken(*_: Any) -> None:
    raise StoreUnavailable("the connection broke just now")


def creation() -> Open:
    return open_request(AUCTION, terms(auction=AUCTION, starts_at=4_000_000_000_000, ends_at=4_000_000_900_000))


async def test_what_was_released_and_taken_by_nobody_is_kept_again(directory: Directory, database_url: str):
    async with serving(database_url, "h1") as host:
        await host.acquire(Assignment(slots=ALL))
        assert isinstance(await ask(host, creation()), StateAnswer)
        await host.hand_off((HERE,), ())
        assert await said(host) == "moved"

        async def keeps_again() -> bool:
            return await said(host) == "shared"

        await until(keeps_again, "the slot is kept again")
        # Its alarm is set, too: nobody need ask for it first.
        assert host.host is not None
        assert len(host.host.timers) == 1


async def test_what_another_host_acquires_at_the_last_moment_stays_with_it(
    directory: Directory, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())
        released_at = await first.hand_off((HERE,), ())
        acquire_again, tried = first._acquire_again, asyncio.Event()

        async def overtaken(returned: Returned) -> None:
            if returned.slots:
                await second.acquire(Assignment(slots=(HERE,), released_at=released_at))
            await acquire_again(returned)
            if returned.slots:
                tried.set()

        monkeypatch.setattr(first, "_acquire_again", overtaken)
        async with asyncio.timeout(10):
            await tried.wait()
        assert (await said(first), await said(second)) == ("moved", "shared")
        assert second._log._writer is not None, "its connection was not ended"


async def test_an_auction_that_got_no_host_of_its_own_after_all_is_kept_again(directory: Directory, database_url: str):
    async with serving(database_url, "h1") as host:
        await host.acquire(Assignment(slots=ALL))
        await ask(host, creation())
        await host.hand_off((), (AUCTION,))
        assert await said(host) == "moved"

        async def keeps_again() -> bool:
            return await said(host) == "shared"

        await until(keeps_again, "the auction is kept again")


async def test_a_take_that_broke_off_before_the_former_owner_was_stopped_leaves_nobody_as_the_owner(
    directory: Directory, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())
        with monkeypatch.context() as patch:
            patch.setattr(second._log, "end_writers", broken)
            with pytest.raises(StoreUnavailable):
                await second.acquire(Assignment(slots=ALL))
        assert (await said(first), await said(second)) == ("moved", "moved")
        assert {host.host_id: host.slots for host in await directory.hosts()} == {"h1": (), "h2": ()}
        await second.acquire(Assignment(slots=ALL))
        assert (await said(first), await said(second)) == ("moved", "shared")


async def test_a_take_that_broke_off_half_way_is_carried_through(
    directory: Directory, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())
        with monkeypatch.context() as patch:
            patch.setattr(second, "_drop_owned", broken)
            with pytest.raises(StoreUnavailable):
                await second.acquire(Assignment(slots=ALL))
            assert await said(second) == "moved"
        assert {host.host_id: host.slots for host in await directory.hosts()} == {"h1": (), "h2": ALL}

        async def keeps() -> bool:
            return await said(second) == "shared"

        await until(keeps, "the second host keeps what the directory says")
        assert await said(first) == "moved"


async def test_an_auction_goes_to_its_own_host_and_comes_back_when_that_host_comes_again(
    directory: Directory, database_url: str
):
    async with serving(database_url, "h1") as shared:
        await shared.acquire(Assignment(slots=ALL))
        await ask(shared, creation())
        async with serving(database_url, "s1") as own:
            released_at = await shared.hand_off((), (AUCTION,))
            await own.acquire(Assignment(entities=(AUCTION,), released_at=released_at))
            assert (await said(own), await said(shared)) == ("dedicated", "moved")
            assert await directory.dedicated() == {AUCTION: "s1"}
        async with serving(database_url, "s1") as again:
            assert await directory.dedicated() == {AUCTION: None}
            await shared.reacquire(Assignment(entities=(AUCTION,)))
            assert (await said(again), await said(shared)) == ("moved", "shared")
            assert await directory.dedicated() == {}


async def test_one_who_believes_that_an_auction_is_elsewhere_is_put_right(directory: Directory, database_url: str):
    async with serving(database_url, "h1") as host:
        await host.acquire(Assignment(slots=ALL))
        await ask(host, creation())
        assert host.host is not None
        host.host.ownership.hand_off((AUCTION,))
        assert await said(host) == "moved"

        async def keeps() -> bool:
            return await said(host) == "shared"

        await until(keeps, "the auction is kept")


async def test_who_takes_over_from_one_that_did_not_let_go_ends_its_appends(directory: Directory, database_url: str):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())
        writers = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'ece-log-h1-%'"
        assert len(await first._log.pool.fetch(writers)) == 1
        await second.acquire(Assignment(slots=ALL))
        assert await first._log.pool.fetch(writers) == []
        assert await said(second) == "shared"


async def test_a_host_that_has_lost_its_slots_unheard_appends_nothing_over_a_new_connection(
    directory: Directory, database_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())

        silent = asyncio.Event()

        async def unheard() -> None:
            """No heartbeat any more, and the one before has ended: it could find what it has lost."""
            silent.set()

        monkeypatch.setattr(first, "_beat", unheard)
        async with asyncio.timeout(10):
            await silent.wait()
        began_s = time.monotonic()
        await second.acquire(Assignment(slots=ALL))
        assert time.monotonic() - began_s > LEASE_S
        assert await said(second) == "shared"
        # The first append finds that its connection was ended, the next one that the slots are the other host's.
        codes = [await said(first, cancel_request(AUCTION, SELLER)) for _ in range(3)]
        assert codes == ["unavailable", "unavailable", "moved"]
        assert await pool.fetchval("SELECT max(seq) FROM entity_events WHERE entity_id = $1", AUCTION) == 1


async def test_a_process_that_has_ended_is_not_waited_for(directory: Directory, database_url: str):
    async with serving(database_url, "h2") as second:
        async with serving(database_url, "h1") as first:
            await first.acquire(Assignment(slots=ALL))
            await ask(first, creation())
        began_s = time.monotonic()
        await second.acquire(Assignment(slots=ALL))
        assert await said(second) == "shared"
        assert time.monotonic() - began_s < LEASE_S


async def test_an_incarnation_waits_until_the_one_before_it_answers_no_more(directory: Directory, database_url: str):
    async with serving(database_url, "h1") as first:
        await first.acquire(Assignment(slots=ALL))
        began_s = time.monotonic()
        async with serving(database_url, "h1"):
            assert time.monotonic() - began_s > LEASE_S
            # It named nobody for them in the end: whoever acquires them need not wait.
            assert (await directory.revoke("h2", ALL)).formers == frozenset()


async def test_an_answer_to_a_heartbeat_that_is_older_than_an_acquisition_takes_nothing_away(
    directory: Directory, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())
        assert first._directory is not None
        heartbeat = first._directory.heartbeat
        read, goes_on, later = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def slow(*args: Any) -> Any:
            if goes_on.is_set():
                later.set()
            owned = await heartbeat(*args)
            if not (owned.slots or goes_on.is_set()):
                read.set()
                await goes_on.wait()
            return owned

        monkeypatch.setattr(first._directory, "heartbeat", slow)
        await second.acquire(Assignment(slots=ALL))
        async with asyncio.timeout(10):
            await read.wait()
            # The answer says that the second host owns all, and arrives after the first one has acquired it again.
            await first.acquire(Assignment(slots=ALL))
            goes_on.set()
            await later.wait()
        assert await said(first) == "shared"


async def test_a_host_that_did_not_notice_that_another_one_owned_its_slots_forgets_their_states(
    directory: Directory, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as stopped, serving(database_url, "h2") as other:
        await stopped.acquire(Assignment(slots=ALL))
        await ask(stopped, creation())
        assert stopped._directory is not None

        async def unheard(*_: Any) -> Any:
            raise StoreUnavailable("as of a process that was stopped")

        with monkeypatch.context() as patch:
            patch.setattr(stopped._directory, "heartbeat", unheard)
            await other.acquire(Assignment(slots=ALL))
            assert isinstance(await ask(other, cancel_request(AUCTION, SELLER)), StateAnswer)
            await stopped.acquire(Assignment(slots=ALL))
            answer = await ask(stopped, state_request(AUCTION))
        assert (state_in(answer).status, answer.seq) == ("cancelled", 2)


async def test_the_lease_of_a_host_that_has_lost_slots_begins_when_their_states_are_dropped(
    directory: Directory, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with serving(database_url, "h1") as first, serving(database_url, "h2") as second:
        await first.acquire(Assignment(slots=ALL))
        await ask(first, creation())
        assert first.host is not None
        host, seen = first.host, set[tuple[bool, bool]]()
        confirm = host.lease.confirm

        def watched(asked_at_s: float) -> None:
            seen.add((host.ownership.owns(AUCTION), AUCTION in host.entities))
            confirm(asked_at_s)

        monkeypatch.setattr(host.lease, "confirm", watched)
        await second.acquire(Assignment(slots=ALL))

        async def knows() -> bool:
            return (False, False) in seen

        await until(knows, "the first host knows that it has lost them")
        assert (False, True) not in seen
