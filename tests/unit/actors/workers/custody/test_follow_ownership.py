"""What the worker concludes from the chain: by comparison, by subscription, and for an auction whose card is gone."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest
from virtual_time import until, virtual

from actors.stream.messages import Answer, Command, Refused, StateAnswer
from actors.workers.custody import ownership_watch
from actors.workers.custody.ownership import EndListings, FollowOwnership
from actors.workers.custody.ownership_watch import OwnershipWatch
from actors.workers.job import Later
from chain.rpc.errors import ChainUnavailable
from chain.wallets.holder_changes import HolderChange
from domain.auction.commands import Cancel, CloseEarly
from domain.errors import AUCTION_CLOSED, HAS_BIDS, OVERLOADED, UNAVAILABLE
from domain.ids import id_text
from domain.minting.custody import NOBODY
from persistence.jobs.store import Claimed
from persistence.minting.ownership import END_LISTING, Holding, SeenHolder
from persistence.postgres.errors import StoreUnavailable

NOW = 1_000


def card(copy: int, *, slot: int = 10, moving: bool = False) -> Holding:
    return Holding(copy, f"asset {copy}", "token-2022", "here", slot, 7, "ann", "free", moving, 1)


class Cards:
    """The database. ``outages``: so many calls fail first."""

    def __init__(self, *cards: Holding, outages: int = 0) -> None:
        self.cards = cards
        self.outages = outages
        self.moved: list[SeenHolder] = []
        self.lookups: list[list[str]] = []

    async def page(self, after_copy: int, limit: int) -> list[Holding]:
        return [one for one in self.cards if one.copy > after_copy][:limit]

    async def of_assets(self, assets: Sequence[str]) -> list[Holding]:
        self._fail()
        self.lookups.append(list(assets))
        return [one for one in self.cards if one.asset in assets]

    async def standards(self) -> list[str]:
        self._fail()
        return ["token-2022"]

    async def moved_outside(self, seen: Sequence[SeenHolder], now_ms: int) -> list[int]:
        self.moved += seen
        return [one.copy for one in seen]

    def _fail(self) -> None:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable("out")


class OnChain:
    """Who holds assets, as of a slot; what was asked."""

    def __init__(self, holders: dict[str, tuple[str | None, int]] | None = None) -> None:
        self.holders_of = holders or {}
        self.asked: list[str] = []

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> list[tuple[str | None, int]]:
        self.asked += [asset for _, asset, _ in held]
        return [self.holders_of.get(asset, (holder, 99)) for _, asset, holder in held]


async def test_only_news_of_later_slots_about_cards_that_nobody_moves_are_recorded():
    cards = Cards(card(1), card(2), card(3, slot=50), card(4, moving=True), card(5))
    chain = OnChain({
        "asset 1": ("there", 11), "asset 2": (None, 20), "asset 3": ("there", 50), "asset 4": ("there", 60),
    })  # fmt: skip
    await FollowOwnership(cards, chain, lambda: NOW).run([])
    assert cards.moved == [SeenHolder(1, "there", 11)]
    assert chain.asked == ["asset 1", "asset 2", "asset 3", "asset 5"]


async def test_each_run_takes_the_next_page_and_begins_anew_after_the_last(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.workers.custody.ownership.CARDS_PER_RUN", 2)
    cards, chain = Cards(*(card(copy) for copy in (1, 2, 3))), OnChain()
    job = FollowOwnership(cards, chain, lambda: NOW)
    for _ in range(3):
        await job.run([])
    assert chain.asked == [f"asset {copy}" for copy in (1, 2, 3, 1, 2)]


async def test_a_page_that_the_chain_does_not_answer_is_read_again():
    cards, chain = Cards(card(1)), OnChain({"asset 1": ("there", 11)})
    job = FollowOwnership(cards, chain, lambda: NOW)
    answers = chain.holders

    async def out(held: object) -> list[Any]:
        raise ChainUnavailable("out")

    chain.holders = out  # type: ignore[assignment]
    with pytest.raises(ChainUnavailable):
        await job.run([])
    chain.holders = answers  # type: ignore[method-assign]
    await job.run([])
    assert cards.moved == [SeenHolder(1, "there", 11)]


# Auctions whose card is gone


class Hosts:
    """Answers of hosts, in order."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.orders: list[Any] = []

    async def ask(self, request: Command, timeout_s: float = 5.0) -> Answer:
        self.orders.append(msgspec.msgpack.decode(request.payload, type=Cancel | CloseEarly))
        code = self._answers.pop(0)
        return Refused(code, NOW) if code else StateAnswer(1, 2, NOW, True, {})


@pytest.mark.parametrize(
    ("answers", "orders", "again"),
    [
        ([""], [Cancel(NOBODY, True)], False),
        ([HAS_BIDS, ""], [Cancel(NOBODY, True), CloseEarly(NOBODY)], False),
        ([AUCTION_CLOSED], [Cancel(NOBODY, True)], False),
        ([UNAVAILABLE], [Cancel(NOBODY, True)], True),
        ([HAS_BIDS, OVERLOADED], [Cancel(NOBODY, True), CloseEarly(NOBODY)], True),
        ([HAS_BIDS, AUCTION_CLOSED], [Cancel(NOBODY, True), CloseEarly(NOBODY)], False),
    ],
)
async def test_an_auction_is_cancelled_or_closed_and_tried_again_only_while_nobody_answers(
    answers: list[str], orders: list[Any], again: bool
):
    hosts = Hosts(*answers)
    job = Claimed(END_LISTING, id_text(5), b"", 1, uuid.uuid4())
    later = await EndListings(hosts).run([job])
    assert hosts.orders == orders
    assert [type(one) for one in later] == ([Later] if again else [])


# By subscription


class Told:
    """A subscription that says what a test puts in."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[HolderChange] = asyncio.Queue()
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[HolderChange]:
        while True:
            yield await self.queue.get()

    def close(self) -> None:
        self.closed = True


async def watched(cards: Cards, told: Told, test: Callable[[], Any], subscribe: Any = None) -> None:
    watch = OwnershipWatch(cards, subscribe or (lambda _: told), lambda: NOW)
    running = asyncio.create_task(watch.run())
    try:
        await test()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told.closed


@virtual
async def test_changes_that_come_together_are_one_look_up_and_the_newest_of_a_card_counts():
    cards, told = Cards(card(1), card(2), card(3, moving=True)), Told()

    async def test() -> None:
        for asset, holder, slot in (
            ("asset 1", "b", 12), ("asset 1", "a", 11), ("asset 2", "here", 12), ("asset 3", "x", 12),
            ("other", "x", 9),
        ):  # fmt: skip
            told.queue.put_nowait(HolderChange(asset, holder, slot))
        await until(lambda: cards.moved, within_s=1.0)

    await watched(cards, told, test)
    assert cards.moved == [SeenHolder(1, "b", 12)]
    assert cards.lookups == [["asset 1", "asset 2", "asset 3", "other"]]


@virtual
async def test_a_change_waits_for_a_database_that_is_out():
    cards, told = Cards(card(1), outages=1), Told()

    async def test() -> None:
        told.queue.put_nowait(HolderChange("another", "x", 12))
        await until(lambda: cards.lookups)
        cards.outages = 2
        told.queue.put_nowait(HolderChange("asset 1", "there", 12))
        await until(lambda: cards.moved)

    await watched(cards, told, test)
    assert (cards.moved, cards.outages) == ([SeenHolder(1, "there", 12)], 0)


@virtual
async def test_more_changes_than_it_keeps_are_left_to_the_comparison():
    cards, told = Cards(card(1)), Told()
    before, ownership_watch.CHANGES_MAX = ownership_watch.CHANGES_MAX, 5

    async def test() -> None:
        for number in range(20):
            told.queue.put_nowait(HolderChange(f"other {number}", "x", 12))
        await until(lambda: cards.lookups)

    try:
        await watched(cards, told, test)
    finally:
        ownership_watch.CHANGES_MAX = before
    assert [len(one) for one in cards.lookups] == [5]


@virtual
async def test_it_subscribes_later_where_there_are_too_many_subscriptions():
    cards, told, refusals = Cards(card(1)), Told(), [ChainUnavailable("too many")] * 2

    def subscribe(_: str) -> Told:
        if refusals:
            raise refusals.pop()
        return told

    async def test() -> None:
        told.queue.put_nowait(HolderChange("asset 1", "there", 12))
        await until(lambda: cards.moved)

    await watched(cards, told, test, subscribe)
    assert cards.moved == [SeenHolder(1, "there", 12)]
