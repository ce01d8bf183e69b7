"""The wire client against a real WebSocket server."""

import asyncio
from typing import Any

import pytest

from bench.wire.client import (
    Ack,
    ConnectionLost,
    Incoming,
    NotAnswered,
    Refusal,
    RequestRefused,
    WireClient,
    bid_surely,
)
from tests.unit.bench.wire.wire_server import JSON, MSGPACK, Session, serving

ACCEPTED = {
    "auction": "a1", "seq": 3, "at": 99, "outcome": "leading", "price": 5, "minimum": 6, "ends_at": 100,
    "duplicate": False,
}  # fmt: skip
ACK = Ack("a1", 3, 99, "leading", 5, 6, 100, False)


async def accept_everything(session: Session) -> None:
    await session.greet()
    while True:
        await session.answer(await session.next(), **ACCEPTED)


@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_a_bid_is_sent_and_its_ack_comes_back_in_both_forms(subprotocol):
    async with serving(accept_everything) as (url, sessions):
        client = await WireClient.connect(url, "tok", subprotocol=subprotocol)
        assert await client.bid("a1", 7, "k1") == ACK
        client.close()
    assert sessions[0].socket.subprotocol == subprotocol
    assert sessions[0].frames == [
        {"op": "hello", "id": 1, "token": "tok"},
        {"op": "bid", "id": 2, "auction": "a1", "amount": 7, "key": "k1"},
    ]


async def test_without_a_token_hello_carries_none():
    async with serving(accept_everything) as (url, sessions):
        (await WireClient.connect(url)).close()
    assert sessions[0].frames == [{"op": "hello", "id": 1}]


async def test_replies_find_their_requests_whatever_their_order():
    async def backwards(session: Session) -> None:
        await session.greet()
        first, second = await session.next(), await session.next()
        await session.answer(second, said="second")
        await session.answer(first, said="first")
        await session.socket.wait_closed()

    async with serving(backwards) as (url, _):
        client = await WireClient.connect(url)
        replies = await asyncio.gather(client.request("ping"), client.request("ping"))
        assert [reply["said"] for reply in replies] == ["first", "second"]
        client.close()


async def test_a_refusal_of_a_bid_is_a_value_with_its_fields_and_of_another_request_an_exception():
    async def refuse(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "bid_too_low", price=5, minimum=6)
        await session.refuse(await session.next(), "not_found")
        await session.socket.wait_closed()

    async with serving(refuse) as (url, _):
        client = await WireClient.connect(url)
        assert await client.bid("a1", 1, "k") == Refusal(
            "bid_too_low", {"message": "bid_too_low", "price": 5, "minimum": 6}
        )
        with pytest.raises(RequestRefused) as refused:
            await client.subscribe("auction:none")
        assert refused.value.refusal.code == "not_found"
        client.close()


async def test_news_goes_to_the_hook_and_not_to_a_waiting_request():
    async def send_events(session: Session) -> None:
        await session.greet()
        asked = await session.next()
        await session.send(
            {"channel": "auction:a1", "epoch": 2, "seq": 4, "type": "bid", "at": 9, "data": {"price": 5}}
        )
        await session.answer(asked, epoch=2, seq=4, recovered=False, state={})
        await session.socket.wait_closed()

    received: list[Incoming] = []
    async with serving(send_events) as (url, _):
        client = await WireClient.connect(url, on_event=received.append)
        reply = await client.subscribe("auction:a1", {"epoch": 2, "seq": 3})
        client.close()
    assert reply["seq"] == 4
    assert [(event.channel, event.epoch, event.seq, event.type, event.data) for event in received] == [
        ("auction:a1", 2, 4, "bid", {"price": 5})
    ]


async def test_the_closing_code_reaches_whoever_waits_and_the_hook():
    async def revoke(session: Session) -> None:
        await session.greet()
        await session.next()
        await session.socket.close(4503, "revoked")

    closes: list[Any] = []
    async with serving(revoke) as (url, _):
        client = await WireClient.connect(url, on_close=lambda code, reason: closes.append((code, reason)))
        with pytest.raises(ConnectionLost) as lost:
            await client.bid("a1", 1, "k")
        with pytest.raises(ConnectionLost):
            client.send_bid("a1", 1, "k", lambda *_: None)
    assert (lost.value.code, lost.value.reason, lost.value.final) == (4503, "revoked", True)
    assert closes == [(4503, "revoked")]


async def test_a_connection_cut_without_a_word_is_lost_but_not_for_good():
    async def cut(session: Session) -> None:
        await session.greet()
        await session.next()
        session.socket.transport.abort()

    async with serving(cut) as (url, _):
        client = await WireClient.connect(url)
        with pytest.raises(ConnectionLost) as lost:
            await client.bid("a1", 1, "k")
    assert (lost.value.code, lost.value.final) == (1006, False)


async def test_a_server_that_is_not_there_is_a_lost_connection():
    async with serving(accept_everything) as (url, _):
        pass
    with pytest.raises(ConnectionLost):
        await WireClient.connect(url)


async def test_a_refused_hello_hangs_up():
    async def refuse(session: Session) -> None:
        await session.refuse(await session.next(), "unauthenticated")
        await session.socket.wait_closed()

    async with serving(refuse) as (url, sessions):
        with pytest.raises(RequestRefused):
            await WireClient.connect(url, "bad")
        await sessions[0].socket.wait_closed()


async def test_a_silent_server_is_noticed_at_the_deadline():
    async def silent(session: Session) -> None:
        await session.greet()
        await session.socket.wait_closed()

    async with serving(silent) as (url, _):
        client = await WireClient.connect(url)
        with pytest.raises(NotAnswered):
            await client.bid("a1", 1, "k", deadline_s=0.02)
        client.close()


async def test_an_idle_client_pings_before_the_heartbeat_is_due():
    pinged = asyncio.Event()

    async def listen(session: Session) -> None:
        await session.greet(heartbeat_ms=40)
        while (await session.next())["op"] == "ping":
            pinged.set()

    async with serving(listen) as (url, _):
        client = await WireClient.connect(url)
        await asyncio.wait_for(pinged.wait(), 5)
        client.close()


async def test_a_fragmented_frame_is_put_together():
    async def fragmented(session: Session) -> None:
        hello = await session.next()
        await session.socket.send([b"\x83\xa2id", bytes([hello["id"]]) + b"\xa2ok\xc3\xa7session", b"\xa1s"])
        await session.socket.wait_closed()

    async with serving(fragmented) as (url, _):
        client = await WireClient.connect(url)
        assert client.session == {"id": 1, "ok": True, "session": "s"}
        client.close()


async def test_a_sure_bid_keeps_its_key_through_unavailability_and_lost_connections():
    async def flaky(session: Session) -> None:
        await session.greet()
        frame = await session.next()
        if session.number == 0:
            session.socket.transport.abort()
            return
        await session.refuse(frame, "unavailable")
        await session.answer(
            await session.next(),
            **ACCEPTED,
        )
        await session.socket.wait_closed()

    async with serving(flaky) as (url, sessions):
        clients: list[WireClient] = []

        async def dial() -> WireClient:
            if not clients or clients[-1].closed is not None:
                clients.append(await WireClient.connect(url))
            return clients[-1]

        assert await bid_surely(dial, "a1", 7, "k1") == ACK
        clients[-1].close()
    sent = [frame for session in sessions for frame in session.frames if frame["op"] == "bid"]
    assert [(frame["auction"], frame["amount"], frame["key"]) for frame in sent] == [("a1", 7, "k1")] * 3


async def test_a_sure_bid_ends_at_a_refusal_that_says_nothing_happened():
    async def refuse(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "auction_closed")
        await session.socket.wait_closed()

    async with serving(refuse) as (url, _):
        client = await WireClient.connect(url)

        async def dial() -> WireClient:
            return client

        answer = await bid_surely(dial, "a1", 7, "k1")
        assert isinstance(answer, Refusal)
        assert answer.code == "auction_closed"
        client.close()


@pytest.mark.parametrize("code", [4501, 4503])
async def test_a_sure_bid_does_not_come_back_when_told_not_to(code):
    async def expire(session: Session) -> None:
        await session.greet()
        await session.next()
        await session.socket.close(code)

    async with serving(expire) as (url, sessions):
        client = await WireClient.connect(url)

        async def dial() -> WireClient:
            return client

        with pytest.raises(ConnectionLost):
            await bid_surely(dial, "a1", 7, "k1")
    assert len(sessions) == 1


async def test_a_sure_bid_gives_up_at_its_deadline_with_the_last_failure():
    async def unavailable(session: Session) -> None:
        await session.greet()
        while True:
            await session.refuse(await session.next(), "unavailable")

    async with serving(unavailable) as (url, _):
        client = await WireClient.connect(url)

        async def dial() -> WireClient:
            return client

        with pytest.raises(RequestRefused) as refused:
            await bid_surely(dial, "a1", 7, "k1", deadline_s=0.1)
        assert refused.value.refusal.code == "unavailable"
        client.close()
