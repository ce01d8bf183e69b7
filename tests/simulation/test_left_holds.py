"""What a host that dies leaves held is released by the next owner, also where nobody asks for the auction any more."""

import asyncio
from typing import Any

from actors.stream.messages import Accepted, StateAnswer
from tests.auction_examples import terms
from tests.auction_requests import bid_request, close_request, open_request
from tests.simulation.simulation import BIDDERS, SELLER, USD
from tests.simulation.test_late_hand_offs import owner_and_other, simulated
from tests.virtual_time import EPOCH_MS, until

AUCTION = 7_000_000_000_000_098


def test_the_leader_of_an_auction_that_is_not_sold_gets_their_money_back_though_its_host_dies_at_its_end():
    with simulated(0) as (run, until_done):

        async def scenario() -> None:
            source, _ = await owner_and_other(run)
            host = source.engine.host
            assert host is not None
            asked = asyncio.Event()
            answers: list[Any] = []

            def answered(_: int, answer: Any) -> None:
                answers.append(answer)
                asked.set()

            one = terms(auction=AUCTION, starts_at=EPOCH_MS, ends_at=EPOCH_MS + 3_600_000, reserve_price=90 * USD)
            leader = BIDDERS[0]
            for request in (
                open_request(AUCTION, one), bid_request(AUCTION, leader, "leader", 5 * USD, "bid"),
                close_request(AUCTION, SELLER),
            ):  # fmt: skip
                asked.clear()
                host.submit(request, 1, answered)
                await asked.wait()
            run._machinery.kill(source.process)
            assert [type(answer) for answer in answers] == [StateAnswer, Accepted, StateAnswer]
            assert run.database.holds.held == {(AUCTION, leader): 5 * USD}
            await until(lambda: not run.database.holds.held, within_s=30.0)

        until_done(scenario())
