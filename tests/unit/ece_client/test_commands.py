"""Commands of the Python client against a real WebSocket server that misbehaves by a script."""

import asyncio
import time
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from ece_client import (
    AccessToken,
    BidResult,
    Client,
    Closed,
    ConnectionLost,
    NotAnswered,
    Options,
    OutcomeUnknown,
    Refused,
)
from tests.unit.bench.wire.wire_server import JSON, MSGPACK, Session, serving

ACCEPTED = {
    "auction": "a1", "epoch": 1, "seq": 3, "at": 99, "outcome": "leading", "price": 5, "minimum": 6, "ends_at": 100,
    "duplicate": False,
}  # fmt: skip
RESULT = BidResult("a1", 1, 3, 99, "leading", 5, 6, 100, False)
QUICK = Options(connect_deadline_s=5, handshake_deadline_s=2, request_deadline_s=2, command_deadline_s=10)


class NumberedTokens:
    """t1, t2, … `renewals` are the tokens that were refused."""

    def __init__(self, tokens_max: int = 100) -> None:
        self.renewals: list[str] = []
        self._tokens_max = tokens_max

    async def access_token(self) -> AccessToken:
        return AccessToken(f"t{len(self.renewals) + 1}")

    async def renew(self, refused: str) -> AccessToken:
        if len(self.renewals) + 1 >= self._tokens_max:
            raise Refused("unauthenticated", "no more tokens", {}, 401)
        self.renewals.append(refused)
        return await self.access_token()


async def accept_everything(session: Session) -> None:
    await session.greet()
    while True:
        await session.answer(await session.next(), **ACCEPTED)


def bids(sessions: list[Session]) -> list[tuple[str, int, str]]:
    frames = [frame for session in sessions for frame in session.frames if frame["op"] == "bid"]
    return [(frame["auction"], frame["amount"], frame["key"]) for frame in frames]


@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_a_bid_and_its_result_in_both_subprotocols(subprotocol: Any):
    options = Options(subprotocol=subprotocol)
    async with serving(accept_everything) as (url, sessions), Client(url, token="tok", options=options) as client:
        assert await client.bid("a1", 7, key="k1") == RESULT
    assert sessions[0].socket.subprotocol == subprotocol
    assert sessions[0].frames == [
        {"op": "hello", "id": 1, "token": "tok"},
        {"op": "bid", "id": 2, "auction": "a1", "amount": 7, "key": "k1"},
    ]


async def test_replies_find_their_requests_whatever_their_order():
    async def backwards(session: Session) -> None:
        await session.greet()
        first, second = await session.next(), await session.next()
        await session.answer(second, **{**ACCEPTED, "seq": 2})
        await session.answer(first, **{**ACCEPTED, "seq": 1})
        await session.socket.wait_closed()

    async with serving(backwards) as (url, _), Client(url, token="tok") as client:
        results = await asyncio.gather(client.bid("a1", 1), client.bid("a1", 2))
    assert [result.seq for result in results] == [1, 2]


async def test_a_refusal_has_its_code_and_its_fields_and_is_not_retried():
    async def refuse(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "bid_too_low", price=5, minimum=6)
        await session.socket.wait_closed()

    async with serving(refuse) as (url, sessions), Client(url, token="tok") as client:
        with pytest.raises(Refused) as refused:
            await client.bid("a1", 1)
    assert (refused.value.code, refused.value.details) == ("bid_too_low", {"price": 5, "minimum": 6})
    assert len(bids(sessions)) == 1


async def test_a_bid_keeps_its_key_through_lost_connections_and_unavailability():
    async def flaky(session: Session) -> None:
        await session.greet()
        frame = await session.next()
        if session.number == 0:
            session.socket.transport.abort()
            return
        await session.refuse(frame, "unavailable", retry_after_ms=10)
        await session.refuse(await session.next(), "overloaded", retry_after_ms=10)
        await session.answer(await session.next(), **ACCEPTED)
        await session.socket.wait_closed()

    retries: list[Exception] = []
    async with serving(flaky) as (url, sessions), Client(url, token="tok", options=QUICK) as client:
        assert await client.bid("a1", 7, key="k1", on_retry=retries.append) == RESULT
        assert client.session.connections == 2
    assert bids(sessions) == [("a1", 7, "k1")] * 4
    assert [type(retry) for retry in retries] == [ConnectionLost, Refused, Refused]


async def test_an_unanswered_bid_is_sent_again_with_its_key():
    async def deaf_once(session: Session) -> None:
        await session.greet()
        await session.next()
        await session.answer(await session.next(), **ACCEPTED)
        await session.socket.wait_closed()

    options = Options(request_deadline_s=0.1)
    async with serving(deaf_once) as (url, sessions), Client(url, token="tok", options=options) as client:
        assert await client.bid("a1", 7, key="k1") == RESULT
    assert bids(sessions) == [("a1", 7, "k1")] * 2


async def test_at_its_deadline_a_bid_of_unknown_outcome_tells_its_key():
    async def unavailable(session: Session) -> None:
        await session.greet()
        while True:
            await session.refuse(await session.next(), "unavailable")

    async with serving(unavailable) as (url, _), Client(url, token="tok") as client:
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.bid("a1", 7, key="k1", deadline_s=0.2)
    assert unknown.value.key == "k1"


@pytest.mark.parametrize("code", ["unauthenticated", "forbidden", "email_not_verified"])
async def test_who_lost_access_after_an_unknown_outcome_is_not_told_that_nothing_happened(code: str):
    async def lost_access(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "unavailable", retry_after_ms=10)
        await session.refuse(await session.next(), code)
        await session.refuse(await session.next(), code)
        await session.socket.wait_closed()

    async with serving(lost_access) as (url, _), Client(url, token="tok", options=QUICK) as client:
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.bid("a1", 7, key="k1")
        with pytest.raises(Refused):
            await client.bid("a1", 8, key="k2")
    assert unknown.value.key == "k1"


async def test_at_its_deadline_a_bid_that_never_counted_is_refused():
    async def overloaded(session: Session) -> None:
        await session.greet()
        while True:
            await session.refuse(await session.next(), "overloaded")

    async with serving(overloaded) as (url, _), Client(url, token="tok") as client:
        with pytest.raises(Refused) as refused:
            await client.bid("a1", 7, deadline_s=0.2)
    assert refused.value.code == "overloaded"


@pytest.mark.parametrize("code", [1002, 1011, 1012, 4000, 4001, 4002, 4499])
async def test_it_reconnects_after_these_close_codes(code: int):
    async def close_once(session: Session) -> None:
        await session.greet()
        frame = await session.next()
        if session.number == 0:
            await session.socket.close(code)
            return
        await session.answer(frame, **ACCEPTED)
        await session.socket.wait_closed()

    async with serving(close_once) as (url, sessions), Client(url, token="tok", options=QUICK) as client:
        assert await client.bid("a1", 7, key="k1") == RESULT
    assert bids(sessions) == [("a1", 7, "k1")] * 2


@pytest.mark.parametrize("code", [4500, 4502, 4503, 4999])
async def test_it_does_not_reconnect_after_these_close_codes(code: int):
    async def send_away(session: Session) -> None:
        await session.greet()
        await session.next()
        await session.socket.close(code, "go")

    async with serving(send_away) as (url, sessions), Client(url, token="tok", options=QUICK) as client:
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.bid("a1", 7, key="k1")
        with pytest.raises(ConnectionLost) as lost:
            await client.bid("a1", 8, key="k2")
    assert isinstance(unknown.value.last, ConnectionLost)
    assert (unknown.value.last.code, lost.value.code, lost.value.final) == (code, code, True)
    assert len(sessions) == 1


async def test_connections_that_end_at_once_are_made_with_growing_delays():
    async def slam(session: Session) -> None:
        await session.greet()
        await session.socket.close(4002)

    async with serving(slam) as (url, sessions), Client(url, token="tok", options=QUICK) as client:
        with pytest.raises((ConnectionLost, NotAnswered, OutcomeUnknown)):
            await client.bid("a1", 7, deadline_s=1.5)
    assert 2 <= len(sessions) <= 8


async def test_a_token_that_is_refused_at_hello_is_replaced_once():
    async def only_t2(session: Session) -> None:
        hello = await session.next()
        if hello["token"] != "t2":
            await session.socket.close(4501)
            return
        await session.answer(hello, session="s", server_time=1, heartbeat_ms=60_000)
        await session.socket.wait_closed()

    tokens = NumberedTokens()
    async with serving(only_t2) as (url, _), Client(url, tokens=tokens, options=QUICK):
        assert tokens.renewals == ["t1"]


async def test_a_token_that_is_refused_by_an_answer_before_the_close_is_replaced_once():
    async def only_t2(session: Session) -> None:
        hello = await session.next()
        if hello["token"] != "t2":
            await session.refuse(hello, "unauthenticated")
            await session.socket.close(4501)
            return
        await session.answer(hello, session="s", server_time=1, heartbeat_ms=60_000)
        await session.socket.wait_closed()

    tokens = NumberedTokens()
    async with serving(only_t2) as (url, _), Client(url, tokens=tokens, options=QUICK):
        assert tokens.renewals == ["t1"]


async def test_tokens_that_are_refused_again_and_again_end_the_client():
    async def nobody(session: Session) -> None:
        await session.next()
        await session.socket.close(4501)

    async with serving(nobody) as (url, sessions):
        with pytest.raises(ConnectionLost) as lost:
            async with Client(url, tokens=NumberedTokens(), options=QUICK):
                pass
    assert (lost.value.code, len(sessions)) == (4501, 2)


async def test_a_fixed_token_that_is_refused_ends_the_client():
    async def nobody(session: Session) -> None:
        await session.next()
        await session.socket.close(4501)

    async with serving(nobody) as (url, sessions):
        with pytest.raises(ConnectionLost):
            async with Client(url, token="old", options=QUICK):
                pass
    assert len(sessions) == 1


async def test_a_token_that_expires_on_an_open_socket_is_replaced_and_the_bid_sent_again():
    async def expire(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "unauthenticated")
        await session.greet()
        await session.answer(await session.next(), **ACCEPTED)
        await session.socket.wait_closed()

    async with serving(expire) as (url, sessions), Client(url, tokens=NumberedTokens()) as client:
        assert await client.bid("a1", 7, key="k1") == RESULT
    assert [frame.get("token") for frame in sessions[0].frames if frame["op"] == "hello"] == ["t1", "t2"]
    assert bids(sessions) == [("a1", 7, "k1")] * 2


async def test_a_command_waits_for_a_new_token_no_longer_than_its_deadline():
    class Slow(NumberedTokens):
        async def renew(self, refused: str) -> AccessToken:
            await asyncio.Event().wait()
            raise AssertionError

    async def expire(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "unauthenticated")
        await session.refuse(await session.next(), "unauthenticated")
        refused_twice.set()
        await session.socket.wait_closed()

    refused_twice = asyncio.Event()
    async with serving(expire) as (url, _), Client(url, tokens=Slow()) as client:
        async with asyncio.timeout(5):
            with pytest.raises(NotAnswered) as silence:
                await client.bid("a1", 7, deadline_s=0.2)
        assert not silence.value.sent
        waiting = asyncio.create_task(client.bid("a1", 8))
        async with asyncio.timeout(5):
            await refused_twice.wait()
    with pytest.raises(Closed):
        await waiting


async def test_a_token_is_replaced_on_the_open_socket_before_it_expires():
    class ShortLived(NumberedTokens):
        async def access_token(self) -> AccessToken:
            at_s = time.monotonic() + 0.05 if not self.renewals else None
            return AccessToken(f"t{len(self.renewals) + 1}", at_s)

    again = asyncio.Event()

    async def greet_twice(session: Session) -> None:
        await session.greet()
        await session.greet()
        again.set()
        await session.socket.wait_closed()

    async with serving(greet_twice) as (url, sessions), Client(url, tokens=ShortLived()):
        await asyncio.wait_for(again.wait(), 5)
    assert [frame["token"] for frame in sessions[0].frames] == ["t1", "t2"]


async def test_a_server_that_falls_silent_is_left_for_a_new_connection():
    async def mute(session: Session) -> None:
        await session.greet()
        if session.number == 0:
            while True:
                await session.next()
        while True:
            frame = await session.next()
            await session.answer(frame, **ACCEPTED, server_time=1)

    options = Options(heartbeat_s=0.05)
    async with serving(mute) as (url, sessions), Client(url, token="tok", options=options) as client:
        assert await client.bid("a1", 7, key="k1") == RESULT
        assert client.session.connections == 2
    assert bids(sessions) == [("a1", 7, "k1")] * 2


async def test_the_servers_clock_is_measured_by_hello_and_heartbeats():
    async def ahead(session: Session) -> None:
        while True:
            frame = await session.next()
            await session.answer(frame, session="s", server_time=int(time.time() * 1000) + 90_000, heartbeat_ms=60_000)

    async with serving(ahead) as (url, _), Client(url, token="tok") as client:
        await client.synchronise_clock()
        assert client.clock.error_ms is not None
        assert abs(client.server_time_ms() - (time.time() * 1000 + 90_000)) <= client.clock.error_ms + 2


async def test_no_more_requests_than_allowed_are_in_flight():
    most = 0

    async def count(session: Session) -> None:
        nonlocal most
        await session.greet()
        frames: list[dict[str, Any]] = []
        for _ in range(12):
            frames.append(await session.next())
            most = max(most, len(frames))
            if len(frames) == 3:
                for frame in frames:
                    await session.answer(frame, **ACCEPTED)
                frames.clear()
        await session.socket.wait_closed()

    options = Options(requests_max=3)
    async with serving(count) as (url, _), Client(url, token="tok", options=options) as client:
        await asyncio.gather(*(client.bid("a1", n) for n in range(12)))
    assert most == 3


async def test_a_broken_frame_of_the_server_ends_that_connection_only():
    async def babble(session: Session) -> None:
        await session.greet()
        frame = await session.next()
        if session.number == 0:
            await session.socket.send(b"\xc1")
            await session.socket.wait_closed()
            return
        await session.answer(frame, **ACCEPTED)
        await session.socket.wait_closed()

    async with serving(babble) as (url, _), Client(url, token="tok", options=QUICK) as client:
        assert await client.bid("a1", 7) == RESULT


async def test_a_full_server_is_asked_again_after_the_time_that_it_names():
    refusals: list[float] = []

    def full_once(connection: ServerConnection, request: Any) -> Any:
        if refusals:
            return None
        refusals.append(time.monotonic())
        response = connection.respond(503, "full")
        response.headers["Retry-After"] = "1"
        return response

    async def handle(socket: ServerConnection) -> None:
        await accept_everything(Session(socket, 0))

    async with serve(
        handle, "127.0.0.1", 0, subprotocols=[MSGPACK], compression=None, process_request=full_once  # type: ignore[list-item]
    ) as server:  # fmt: skip
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(url, token="tok") as client:
            assert time.monotonic() - refusals[0] >= 1.0
            assert client.session.connections == 1


async def test_an_engine_that_is_not_there_is_told_at_the_deadline():
    async with serving(accept_everything) as (url, _):
        pass
    with pytest.raises(ConnectionLost):
        async with Client(url, options=Options(connect_deadline_s=0.3)):
            pass


async def test_closing_the_client_ends_what_waits():
    asked = asyncio.Event()

    async def silent(session: Session) -> None:
        await session.greet()
        await session.next()
        asked.set()
        await session.socket.wait_closed()

    async with serving(silent) as (url, _):
        async with Client(url, token="tok") as client:
            bid = asyncio.create_task(client.bid("a1", 7))
            await asyncio.wait_for(asked.wait(), 5)
        with pytest.raises((OutcomeUnknown, Closed)):
            await bid
