"""More commands than the engine can take: refused at once, shared out fairly, and the socket lives on."""

from typing import Any

import pytest
from auction_examples import ANN, AUCTION, BOB
from auction_requests import answered, bid_request, refused
from virtual_time import EPOCH_MS, turns, virtual

from domain.errors import ERRORS
from gateway.websocket.operations.table import JSON, MSGPACK
from gateway.wire.codec import Codec
from tests.unit.gateway.websocket.sessions import AUCTION_TEXT, BID, CHANNEL, Client, Gateway, gateway

OVERLOADED = {
    "code": "overloaded",
    "message": ERRORS["overloaded"].text,
    "server_time": EPOCH_MS,
    "retry_after_ms": 500,
}


async def bidder(g: Gateway, codec: Codec = MSGPACK, user: int = ANN) -> Client:
    client = g.client(codec, commands_burst=1_000_000)
    await client.hello(user)
    return client


def flood(client: Client, count: int) -> list[bool]:
    """Send so many bids; whether each was taken."""
    before = client.connection.taken()
    taken = []
    for _ in range(count):
        client.send("bid", **BID)
        taken.append(client.connection.taken() == [])
    client.connection.frames = before
    return taken


def answer(g: Gateway, count: int) -> None:
    """A host answers the oldest."""
    oldest, g.routes.sent = g.routes.sent[:count], g.routes.sent[count:]
    for _, on_answer in oldest:
        on_answer(answered(1, 7, 100, "leading", 5, 6, 200))


@pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])
def test_a_full_gateway_refuses_at_once_and_says_when_to_come_again(codec: Codec):
    @virtual
    async def scenario() -> None:
        async with gateway(in_flight_max=4) as g:
            client = await bidder(g, codec)
            assert flood(client, 2) == [True, True]
            for op, fields in (("bid", BID), ("buy_now", {"auction": AUCTION_TEXT, "key": "k"})):
                sent = client.send(op, **fields)
                assert client.connection.taken() == [{"id": sent, "ok": False, "error": OVERLOADED}]
            assert [request for request, _ in g.routes.sent] == [bid_request(AUCTION, ANN, "ann", 5, "k")] * 2
            # Reading pauses, so that the refusals of a flood cost little.
            assert client.connection.pauses == 2
            assert client.connection.closed == []

    scenario()


@virtual
async def test_each_answer_makes_room_whatever_it_says_and_also_when_the_client_is_gone():
    async with gateway(in_flight_max=2) as g:
        first, second = await bidder(g), await bidder(g)
        for refusal in (None, refused("bid_too_low", 9, 5, 6), refused("unavailable", 9)):
            assert flood(first, 2) == [True, False]
            [(_, on_answer)] = g.routes.sent
            on_answer(refusal or answered(1, 7, 100, "leading", 5, 6, 200))
            g.routes.sent.clear()
        assert flood(first, 1) == [True]
        first.session.closed()
        answer(g, 1)
        assert flood(second, 2) == [True, False]
        assert g.admission.in_flight == 1


@virtual
async def test_what_needs_no_host_is_answered_by_a_full_gateway():
    async with gateway(in_flight_max=2) as g:
        g.stands()
        client = await bidder(g)
        flood(client, 3)
        assert (await client.ask("ping"))["ok"] is True
        assert (await client.ask("subscribe", channel=CHANNEL))["ok"] is True


@virtual
async def test_one_that_floods_leaves_half_of_all_slots_to_others():
    async with gateway(in_flight_max=100) as g:
        flooder, other = await bidder(g), await bidder(g, user=BOB)
        assert sum(flood(flooder, 1_000)) == 50
        assert sum(flood(other, 1_000)) == 25


@virtual
async def test_however_many_flood_one_who_bids_now_and_then_is_always_let_in():
    async with gateway(in_flight_max=100) as g:
        flooders = [await bidder(g) for _ in range(30)]
        polite = await bidder(g, user=BOB)
        taken, shares = [], [0] * 30
        for turn in range(200):
            answer(g, 20)
            for number in (n % 30 for n in range(turn, turn + 30)):
                shares[number] += sum(flood(flooders[number], 5))
                flooders[number].connection.taken()
            if all(request.key[0] != BOB for request, _ in g.routes.sent):
                taken += flood(polite, 1)
        # The first flooders had taken what was there; from then on it is shared.
        assert taken == [False] * 4 + [True] * 40
        assert max(shares) < 2 * min(shares)


@virtual
async def test_subscribing_to_the_same_channel_again_and_again_is_bounded():
    async with gateway() as g:
        g.stands()
        client = g.client(subscriptions_max=3)
        await client.hello()
        for _ in range(5):
            client.send("subscribe", channel=CHANNEL)
        await turns(20)
        replies: list[dict[str, Any]] = client.connection.taken()
        assert sorted((r["ok"], r.get("error", {}).get("code")) for r in replies) == [
            (False, "overloaded"), (False, "overloaded"), (True, None), (True, None), (True, None),
        ]  # fmt: skip
        assert (await client.ask("subscribe", channel=CHANNEL))["ok"] is True
