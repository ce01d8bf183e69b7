"""One client's session: every frame has its answer, and no frame does harm."""

import asyncio
from typing import Any

import msgspec
import pytest
from auction_examples import ANN, AUCTION, BOB
from auction_requests import answered, bid_request, buy_request, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, turns, virtual

from actors.stream.messages import Refused
from domain.ids import id_text
from gateway.fanout.user_channels import channel_of
from gateway.identity.tokens import TokenIssuer
from gateway.websocket.operations.table import JSON, MSGPACK
from gateway.wire.codec import Codec
from tests.unit.gateway.websocket.sessions import (
    AUCTION_TEXT,
    BID,
    BOTH,
    CHANNEL,
    NOW_S,
    TOKENS,
    error,
    gateway,
    update,
)
from tests.unit.gateway.wire.test_frames import near_frames, trees

# -- hello


@BOTH
def test_hello_with_a_token_says_who_one_is(codec: Codec):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            reply = await g.client(codec).hello()
        session = reply.pop("session")
        assert len(session) >= 16
        assert reply == {
            "id": 1,
            "ok": True,
            "server_time": EPOCH_MS,
            "heartbeat_ms": 20_000,
            "user": {"id": id_text(ANN), "username": "ann"},
        }

    scenario()


@virtual
async def test_hello_without_a_token_may_watch_and_not_bid():
    async with gateway() as g:
        g.stands()
        client = g.client()
        assert "user" not in await client.hello(user=None)
        assert (await client.ask("subscribe", channel=CHANNEL))["ok"] is True
        assert error(await client.ask("bid", **BID)) == {"code": "unauthenticated", "server_time": EPOCH_MS}
        assert g.routes.sent == []


@virtual
async def test_a_second_hello_without_a_token_ends_bidding():
    async with gateway() as g:
        g.stands()
        client = g.client()
        await client.hello()
        await client.ask("subscribe", channel=CHANNEL)
        await client.ask("subscribe", channel=channel_of(ANN))
        assert "user" not in await client.hello(user=None)
        assert error(await client.ask("bid", **BID)) == {"code": "unauthenticated", "server_time": EPOCH_MS}
        assert g.routes.sent == []
        g.listener.announce(update(3, 3))
        g.inboxes.add(ANN, "card_listed")
        g.users.received(msgspec.msgpack.encode([ANN]))
        await asyncio.sleep(0.1)
        assert client.events() == [(3, "bid")]


@virtual
async def test_a_second_hello_of_another_user_makes_the_socket_theirs():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        await client.ask("subscribe", channel=channel_of(ANN))
        client.send("bid", **BID)
        reply = await client.hello(user=BOB, name="bob")
        assert reply["user"] == {"id": id_text(BOB), "username": "bob"}
        client.send("bid", **BID)
        # What was sent before stays hers.
        placed = [request for request, _ in g.routes.sent]
        assert placed == [bid_request(AUCTION, ANN, "ann", 5, "k"), bid_request(AUCTION, BOB, "bob", 5, "k")]
        g.inboxes.add(ANN, "card_listed")
        g.users.received(msgspec.msgpack.encode([ANN]))
        await asyncio.sleep(0.1)
        assert client.events() == []
        assert error(await client.ask("subscribe", channel=channel_of(ANN)))["code"] == "forbidden"


@virtual
async def test_a_second_hello_with_a_bad_token_closes():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        assert error(await client.ask("hello", token="nonsense"))["code"] == "unauthenticated"
        assert [code for code, _ in client.connection.closed] == [4501]


@virtual
async def test_everything_before_hello_is_unauthenticated_and_the_connection_lives():
    async with gateway() as g:
        client = g.client()
        for op, fields in (
            ("bid", BID),
            ("buy_now", {"auction": AUCTION_TEXT, "key": "k"}),
            ("subscribe", {"channel": CHANNEL}),
            ("unsubscribe", {"channel": CHANNEL}),
            ("ping", {}),
        ):
            assert error(await client.ask(op, **fields))["code"] == "unauthenticated"
        assert (await client.hello())["ok"] is True
        assert client.connection.closed == []


@virtual
async def test_who_says_no_hello_in_time_is_closed():
    async with gateway() as g:
        silent, polite = g.client(), g.client()
        await polite.hello()
        await asyncio.sleep(4.9)
        assert silent.connection.closed == []
        await asyncio.sleep(0.2)
        assert [code for code, _ in silent.connection.closed] == [4000]
        assert polite.connection.closed == []


OTHER = TokenIssuer("another-secret-of-thirty-two-characters-", ttl_s=900)


@pytest.mark.parametrize(
    "token",
    [
        "", "nonsense", "a.b.c", "x" * 5_000, OTHER.issue(ANN, "ann", (), NOW_S),
        TOKENS.issue(ANN, "ann", (), NOW_S - 900), TOKENS.issue(ANN, "ann", (), NOW_S + 10_000),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIwMDAwMDAwMDAwMDAyIn0.",
    ],
)  # fmt: skip
def test_a_bad_token_is_answered_and_closed(token: str):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client()
            assert error(await client.ask("hello", token=token)) == {"code": "unauthenticated", "server_time": EPOCH_MS}
            assert [code for code, _ in client.connection.closed] == [4501]

    scenario()


@virtual
async def test_a_token_that_expires_in_mid_session_ends_bidding_until_the_next_hello():
    async with gateway() as g:
        g.stands()
        client = g.client()
        await client.hello()
        await client.ask("subscribe", channel=CHANNEL)
        await asyncio.sleep(901)
        assert error(await client.ask("bid", **BID))["code"] == "unauthenticated"
        assert g.routes.sent == []
        g.listener.announce(update(3, 3))
        await asyncio.sleep(0.1)
        assert client.events() == [(3, "bid")]
        await client.hello(at_s=NOW_S + 901)
        client.send("bid", **BID)
        assert len(g.routes.sent) == 1
        assert client.connection.closed == []


# -- commands


@BOTH
def test_a_bid_goes_to_its_auction_and_its_answer_comes_back(codec: Codec):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client(codec)
            await client.hello()
            wanted = client.send("bid", **BID)
            [(request, answer)] = g.routes.sent
            assert request == bid_request(AUCTION, ANN, "ann", 5, "k")
            assert client.connection.frames == []
            answer(answered(1, 7, 100, "leading", 5, 6, 200, True))
            assert client.connection.frames == [
                {
                    "id": wanted, "ok": True, "auction": AUCTION_TEXT, "epoch": 1, "seq": 7, "at": 100,
                    "outcome": "leading", "price": 5, "minimum": 6, "ends_at": 200, "duplicate": True,
                }
            ]  # fmt: skip

    scenario()


@virtual
async def test_buying_now_goes_the_same_way():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        client.send("buy_now", auction=AUCTION_TEXT, key="k")
        [(request, answer)] = g.routes.sent
        assert request == buy_request(AUCTION, ANN, "ann", "k")
        answer(answered(1, 7, 100, "won", 5, 5, 200))
        assert client.connection.frames[0]["outcome"] == "won"


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (
            refused("bid_too_low", 9, 5, 6),
            {"code": "bid_too_low", "server_time": 9, "price": 5, "minimum": 6},
        ),
        (refused("already_leading", 9, 5, 6), {"code": "already_leading", "server_time": 9, "price": 5, "minimum": 6}),
        (refused("auction_closed", 9, 5), {"code": "auction_closed", "server_time": 9, "price": 5}),
        (refused("not_found", 9), {"code": "not_found", "server_time": 9}),
        (refused("own_auction", 9), {"code": "own_auction", "server_time": 9}),
        (
            refused("unavailable", 9, retry_after_ms=500),
            {"code": "unavailable", "server_time": 9, "retry_after_ms": 500},
        ),
        (
            refused("insufficient_funds", 9, available=1, required=2),
            {"code": "insufficient_funds", "server_time": 9, "available": 1, "required": 2},
        ),
        # To the client, a key used twice is a fault of the frame.
        (refused("key_reused", 9), {"code": "invalid_frame", "server_time": 9}),
    ],
)
def test_a_refusal_says_what_it_was_decided_on(refused: Refused, expected: dict[str, Any]):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client()
            await client.hello()
            client.send("bid", **BID)
            g.routes.sent[0][1](refused)
            [reply] = client.connection.frames
            assert error(reply) == expected
            assert reply["error"]["message"]

    scenario()


@pytest.mark.parametrize("auction", ["", "x", "0" * 12, "V" * 13, "z" * 13, "v" * 13, "\u0661" * 13, "../../etc/pass"])
def test_a_bid_on_what_is_no_auction_is_not_found(auction: str):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client()
            await client.hello()
            reply = await client.ask("bid", auction=auction, amount=5, key="k")
            assert error(reply) == {"code": "not_found", "server_time": EPOCH_MS}
            assert g.routes.sent == []

    scenario()


@virtual
async def test_ping_gives_the_servers_time():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        assert await client.ask("ping", client_time=1.5) == {
            "id": 2, "ok": True, "server_time": EPOCH_MS, "client_time": 1.5,
        }  # fmt: skip


# -- frames that are none


@BOTH
@pytest.mark.parametrize(
    "frame",
    [
        {"op": "bid", "id": 9, "auction": AUCTION_TEXT, "amount": 5.5, "key": "k"},
        {"op": "bid", "id": 9, "auction": AUCTION_TEXT, "amount": -5, "key": "k"},
        {"op": "bid", "id": 9, "auction": AUCTION_TEXT, "amount": 2**62, "key": "k"},
        {"op": "sell", "id": 9},
        {"id": 9},
        {"op": "subscribe", "id": 9, "channel": CHANNEL, "since": 7},
    ],
)
def test_an_invalid_frame_is_answered_with_its_id_and_the_connection_lives(codec: Codec, frame: Any):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client(codec)
            await client.hello()
            client.send_raw(frame)
            [reply] = client.connection.taken()
            assert (reply["id"], error(reply)["code"]) == (9, "invalid_frame")
            assert (await client.ask("ping"))["ok"] is True
            assert client.connection.closed == []

    scenario()


@virtual
async def test_what_is_no_map_is_answered_without_an_id():
    async with gateway() as g:
        client = g.client()
        client.send_raw([1, 2])
        [reply] = client.connection.taken()
        assert (reply["id"], error(reply)["code"]) == (None, "invalid_frame")
        assert client.connection.closed == []


@virtual
async def test_an_invalid_frame_is_logged_without_what_it_says():
    async with gateway() as g:
        client = g.client(address="192.0.2.7")
        with capture_logs() as logged:
            client.send_raw({"op": "sell", "id": 9, "secret": "secret"})
            client.session.received(b"\xc1secret")
        entry = {"event": "frame_invalid", "address": "192.0.2.7", "log_level": "info"}
        assert logged == [entry | {"broken": False}, entry | {"broken": True}]


@pytest.mark.parametrize(("codec", "data"), [(MSGPACK, b"\xc1"), (JSON, "{"), (MSGPACK, "{}"), (JSON, b"\x80")])
def test_what_can_not_be_read_ends_the_connection(codec: Codec, data: bytes | str):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client(codec)
            client.session.received(data)
            assert [code for code, _ in client.connection.closed] == [4500]

    scenario()


@virtual
async def test_a_frame_that_is_too_large_ends_the_connection():
    async with gateway() as g:
        client = g.client(frame_bytes_max=1_000)
        await client.hello()
        client.send("ping", x="y" * 900)
        assert client.connection.closed == []
        client.send("ping", x="y" * 1_000)
        assert [code for code, _ in client.connection.closed] == [4502]


@virtual
async def test_a_text_is_measured_in_bytes():
    async with gateway() as g:
        client = g.client(JSON, frame_bytes_max=1_000)
        await client.hello()
        client.send("ping", x="\u20ac" * 400)
        assert [code for code, _ in client.connection.closed] == [4502]


@given(st.lists(near_frames | trees, max_size=6), st.booleans())
@settings(max_examples=50)
def test_no_frame_makes_a_session_fail(frames: list[Any], greeted: bool):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands()
            for codec in (MSGPACK, JSON):
                client = g.client(codec)
                if greeted:
                    await client.hello()
                for frame in frames:
                    try:
                        client.send_raw(frame)
                    except OverflowError:
                        continue  # the test can't even write it
                    await turns()
                for _, answer in g.routes.sent:
                    answer(refused("not_found", 1))
                codes = {code for code, _ in client.connection.closed}
                # A broken token ends it; nothing else here does.
                assert codes <= {4501}
                client.session.closed()

    with capture_logs() as logs:
        scenario()
    assert [entry for entry in logs if entry["event"] == "session_fault"] == []


@given(st.lists(st.binary(max_size=40), max_size=5))
@settings(max_examples=50)
def test_no_bytes_make_a_session_fail(messages: list[bytes]):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            for codec in (MSGPACK, JSON):
                client = g.client(codec)
                for message in messages:
                    client.session.received(message if codec is MSGPACK else message.decode("latin-1"))
                assert {code for code, _ in client.connection.closed} <= {4500, 4501}
                client.session.closed()

    with capture_logs() as logs:
        scenario()
    assert {entry["event"] for entry in logs} <= {"frame_invalid"}


@virtual
async def test_a_fault_of_ours_is_answered_and_logged_and_the_connection_lives():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(client.session, "_command", None)
            reply = await client.ask("bid", **BID)
        assert error(reply) == {"code": "internal_error", "server_time": EPOCH_MS}
        assert [(entry["event"], entry["op"]) for entry in logs] == [("command_failed", "bid")]
        assert (await client.ask("ping"))["ok"] is True
        assert client.connection.closed == []


@virtual
async def test_every_command_is_answered_whatever_fails_inside_it():
    async with gateway() as g:
        client = g.client()
        await client.hello()

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("secret")

        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(g.hub, "subscribe", broken)
            patch.setattr(g.routes, "send", broken)
            for op, fields in (
                ("subscribe", {"channel": CHANNEL}),
                ("bid", BID),
                ("buy_now", {"auction": AUCTION_TEXT, "key": "k"}),
            ):
                reply = await client.ask(op, **fields)
                assert error(reply) == {"code": "internal_error", "server_time": EPOCH_MS}
                assert "secret" not in str(reply)
        assert [entry["event"] for entry in logs] == ["subscribe_failed", "command_failed", "command_failed"]
        assert client.session.subscriptions == 0


@virtual
async def test_an_answer_that_can_not_be_sent_ends_this_connection_and_is_logged():
    async with gateway() as g:
        client = g.client()
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(client.connection, "write_frame", None)
            client.send("ping")
        assert [code for code, _ in client.connection.closed] == [1011]
        assert [entry["event"] for entry in logs] == ["command_failed", "session_fault"]
