"""A client that stops reading for a while, beside one that reads, on a running engine."""

import asyncio
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from engines import SharedEngine
from websockets.asyncio.client import ClientConnection, connect

from bench.engine import Engine
from bench.loads.shapes import Shape, open_seats
from bench.wire.accounts_by_rest import AccountsByRest
from bench.wire.client import JSON, Ack, Incoming, WireClient

BIDS = 300
# Replies with all bids so far: more than the kernel keeps for a socket whose client does not read.
REPLIES = 12
WITHIN_S = 60


class Bidders:
    """Two that outbid each other."""

    def __init__(self, clients: list[WireClient], auction: str, top: int, step: int) -> None:
        self._clients = clients
        self._auction = auction
        self._top = top
        self._step = step
        self._bids = 0

    async def bid(self, times: int) -> int:
        """Bid so often; the last one's seq."""
        seq = 0
        for _ in range(times):
            self._bids += 1
            self._top += 2 * self._step
            ack = await self._clients[self._bids % 2].bid(self._auction, self._top, f"slow-{self._bids}")
            assert isinstance(ack, Ack), ack
            seq = ack.seq
        return seq


async def narrow(engine: SharedEngine) -> ClientConnection:
    """A client whose own buffers hold little."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    url = urlsplit(engine.base_url)
    raw.connect((url.hostname, url.port))
    client = await connect(engine.ws_url, sock=raw, subprotocols=[JSON], max_queue=1, max_size=None, proxy=None)
    await asked(client, "hello", 1)
    return client


async def asked(client: ClientConnection, op: str, request_id: int, **fields: Any) -> dict[str, Any]:
    await client.send(json.dumps({"op": op, "id": request_id} | fields))
    reply: dict[str, Any] = json.loads(await client.recv())
    assert (reply["id"], reply["ok"]) == (request_id, True)
    return reply


async def sample(engine: SharedEngine, name: str) -> float:
    """A metric without labels, as Prometheus would read it."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{engine.base_url}/metrics")).text
    [value] = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(value)


def assert_gapless(frames: list[tuple[int, str]], seq: int) -> None:
    """Each is the next event, or a state ahead."""
    for at, kind in frames:
        assert at == seq + 1 or (kind == "state" and at > seq), (seq, at, kind)
        seq = at


@pytest.mark.timeout(120)
async def test_a_client_that_stops_reading_skips_to_the_newest_state_and_the_quick_one_notices_nothing(engine):
    [seat] = await open_seats(Engine(engine.base_url, AccountsByRest(engine.base_url)), Shape("slow", 1, 2, ""))
    channel = f"auction:{seat.auction}"
    clients = [await WireClient.connect(engine.base_url, token) for token in seat.tokens]
    bidders = Bidders(clients, seat.auction, seat.top, seat.step)
    await bidders.bid(BIDS)
    quick = await WireClient.connect(engine.base_url)
    watched: list[Incoming] = []
    quick.on_event = watched.append
    quick_from = (await quick.subscribe(channel))["seq"]

    slow = await narrow(engine)
    await asked(slow, "subscribe", 2, channel=channel)
    slow.transport.pause_reading()
    for number in range(REPLIES):
        await slow.send(json.dumps({"op": "subscribe", "id": 10 + number, "channel": channel,
                                    "since": {"epoch": 1, "seq": 1}}))  # fmt: skip
    last = await bidders.bid(BIDS)
    async with asyncio.timeout(WITHIN_S):
        while not watched or watched[-1].seq < last:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert_gapless([(event.seq, event.type) for event in watched], quick_from)

    assert await sample(engine, "ece_socket_subscriptions_behind") == 1
    assert await sample(engine, "ece_socket_unsent_bytes") > 10_000
    slow.transport.resume_reading()
    replies, received = 0, []
    async with asyncio.timeout(WITHIN_S):
        while not received or received[-1]["seq"] < last:
            frame = json.loads(await slow.recv())
            if "id" in frame:
                replies, reached, received = replies + 1, frame["seq"], []
            else:
                received.append(frame)
    assert replies == REPLIES
    assert_gapless([(frame["seq"], frame["type"]) for frame in received], reached)
    assert received[-1]["type"] == "state"
    assert received[-1]["data"]["bids"] == 2 * BIDS
    # It got by with less than everything, and is still welcome.
    assert len(received) < len(watched)
    await slow.close()
    for client in (quick, *clients):
        client.close()
