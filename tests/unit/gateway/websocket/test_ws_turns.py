"""Many frames of one socket at once: others have their turn, nothing is lost, and refusals pause the reading."""

import msgspec
from auction_examples import AUCTION
from auction_requests import answered
from virtual_time import until

from domain.ids import id_text
from gateway.websocket.connection import SessionLimits
from tests.unit.gateway.websocket.ws_serving import Client, connected, serving

FRAMES_PER_TURN = SessionLimits().frames_per_turn


def raw_bid(number: int, auction: int = AUCTION) -> bytes:
    """A client's whole frame, masked with zeros."""
    payload = msgspec.msgpack.encode(
        {"op": "bid", "id": number, "auction": id_text(auction), "amount": 5, "key": f"{number}"}
    )
    return bytes([0x82, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def write_raw(client: Client, data: bytes) -> None:
    transport = client.ws.transport
    transport.write(data)
    assert transport.get_write_buffer_size() == 0


async def test_a_socket_that_sends_much_at_once_does_not_hold_up_the_others():
    count = 5 * FRAMES_PER_TURN
    async with serving(in_flight_max=4 * count) as server, connected(server) as much, connected(server) as little:
        for client in (much, little):
            await client.hello(server)
        # Both are there before the server looks.
        write_raw(much, b"".join(map(raw_bid, range(count))))
        write_raw(little, raw_bid(1, auction=AUCTION + 1))
        await until(lambda: len(server.routes.sent) == count + 1)
        auctions = [request.entity for request, _ in server.routes.sent]
        assert auctions.index(AUCTION + 1) <= FRAMES_PER_TURN
        keys = [request.key[1] for request, _ in server.routes.sent if request.entity == AUCTION]  # type: ignore[union-attr,index]
        assert keys == [str(number) for number in range(count)]


async def test_a_socket_that_is_refused_for_overload_is_read_again_after_a_pause():
    async with serving(in_flight_max=4) as server, connected(server) as client:
        await client.hello(server)
        write_raw(client, b"".join(map(raw_bid, range(10))))
        refused = [await client.next() for _ in range(8)]
        assert [(reply["id"], reply["error"]["code"]) for reply in refused] == [(n, "overloaded") for n in range(2, 10)]
        for _, answer in server.routes.sent:
            answer(answered(1, 3, 100, "leading", 5, 6, 200))
        assert [(await client.next())["id"] for _ in range(2)] == [0, 1]
        assert (await client.ask("ping"))["ok"] is True


async def test_what_was_answered_before_a_close_goes_out_before_it():
    async with serving(in_flight_max=2) as server, connected(server) as client:
        await client.hello(server)
        # A bid that waits, one that is refused, and bytes that are no frame of ours, all in one.
        write_raw(client, raw_bid(1) + raw_bid(2) + bytes([0x82, 0x81, 0, 0, 0, 0, 0xC1]))
        assert (await client.next())["id"] == 2
        assert await client.close_code() == 4500


async def test_a_client_that_goes_while_it_is_not_read_ends_its_session():
    async with serving(in_flight_max=2) as server, connected(server) as client:
        await client.hello(server)
        write_raw(client, b"".join(map(raw_bid, range(100))))
        client.ws.transport.abort()
        await until(lambda: len(server.sockets) == 0)
