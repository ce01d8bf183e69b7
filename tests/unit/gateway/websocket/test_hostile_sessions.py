"""Hostile clients of the real session: in any order of frames, sound or not, each answer has a documented code."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import msgpack
import msgspec
from auction_examples import ANN, AUCTION, BOB
from auction_requests import refused
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, turns, virtual

from domain.errors import ERRORS
from domain.ids import id_text
from gateway.fanout.user_channels import channel_of
from gateway.http.problems import Problem
from gateway.websocket.close_codes import CLOSE_BROKEN, CLOSE_RATE, CLOSE_TOKEN, CLOSE_TOO_LARGE
from gateway.websocket.connection import SessionLimits
from gateway.websocket.operations.table import JSON, MSGPACK, OPERATIONS
from gateway.wire.frames import op_of
from tests.unit.gateway.websocket.sessions import CHANNEL, NOW_S, TOKENS, Client, Gateway, gateway
from tests.unit.gateway.wire.test_frames import near_frames, trees

SOCKET_CODES = {code for code, error in ERRORS.items() if error.socket}
CLOSES = {CLOSE_BROKEN, CLOSE_RATE, CLOSE_TOKEN, CLOSE_TOO_LARGE}
FAULTS = {"session_fault", "command_failed"}
FRAME_BYTES_MAX = SessionLimits().frame_bytes_max
OPS = [op_of(operation.frame) for operation in OPERATIONS]
INJECTIONS = [
    "'; DROP TABLE users; --", "\x00", "\r\nSet-Cookie: a=b", "${jndi:ldap://a/b}", "%n%s", "\u202e", "\ud7ff\uffff",
    "../../etc/passwd", '{"$gt": ""}', "\x1b[2J", "<script>", "A" * 2_000,
]  # fmt: skip


class Refusing:
    """Services of trades where nothing is found."""

    def __getattr__(self, _name: str) -> "Refusing":
        return self

    async def __call__(self, *_given: Any, **_named: Any) -> Any:
        raise Problem("not_found")


def unsigned(claims: dict[str, Any]) -> str:
    """A token with ``alg: none``."""
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def forged() -> list[str]:
    """Tokens that say ANN and are not the issuer's, or not any more."""
    good = TOKENS.issue(ANN, "ann", (), NOW_S)
    claims = jwt.decode(good, options={"verify_signature": False, "verify_exp": False})
    head, body, signature = good.split(".")
    other = jwt.encode(claims, "b" * 40, "HS256", headers={"kid": "../../../dev/null"})
    return [
        unsigned(claims), other, f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{signature[::-1]}",
        jwt.encode(claims | {"aud": "elsewhere"}, "b" * 64, "HS512"), TOKENS.issue(ANN, "ann", (), NOW_S - 10_000),
        good + "x", "", "." * 50, "A" * 3_000, *INJECTIONS,
    ]  # fmt: skip


texts = st.text(max_size=20) | st.sampled_from(INJECTIONS)
channels = st.sampled_from([CHANNEL, channel_of(ANN), channel_of(BOB), "market", "auction:", ":", "trade:0", "user:x"])
values = trees | texts | channels | st.sampled_from([id_text(AUCTION), 5, -1, 2**53, 2**64 - 1, 1e300, True])
fields = st.sampled_from(
    [
        "auction", "amount", "key", "channel", "since", "token", "client_time", "trade", "version", "legs", "hash",
        "copies", "code", "text", "reason", "evidence", "draft", "message", "expires_in_ms", "id", "op", "\x00",
    ]
)  # fmt: skip
frames = st.builds(
    lambda op, number, rest: rest | {"op": op, "id": number},
    st.sampled_from(OPS), st.integers(0, 2**53) | st.text(max_size=8), st.dictionaries(fields, values, max_size=6),
)  # fmt: skip
hellos = st.sampled_from([None, "good", *forged()]).map(lambda token: {"op": "hello", "id": 1, "token": token})
sound = st.sampled_from(
    [
        {"op": "subscribe", "id": 1, "channel": CHANNEL}, {"op": "unsubscribe", "id": 2, "channel": CHANNEL},
        {"op": "bid", "id": 3, "auction": id_text(AUCTION), "amount": 5, "key": "k"}, {"op": "ping", "id": 4},
        {"op": "subscribe", "id": 5, "channel": channel_of(ANN)},
        {"op": "trade_decline", "id": 6, "trade": id_text(AUCTION), "key": "k"},
    ]
)  # fmt: skip
steps = st.lists(hellos | sound | frames | near_frames, max_size=8)


def encoded(binary: bool, frame: Any) -> bytes | str | None:
    """None: the test can't write it."""
    if isinstance(frame, dict) and frame.get("token") == "good":
        frame = frame | {"token": TOKENS.issue(ANN, "ann", (), NOW_S)}
    try:
        return msgspec.msgpack.encode(frame) if binary else msgspec.json.encode(frame).decode()
    except (OverflowError, UnicodeEncodeError):
        return None


def check_answers(client: Client) -> None:
    for reply in client.connection.taken():
        if "channel" in reply:
            continue
        assert isinstance(reply["ok"], bool)
        if reply["ok"]:
            continue
        about = reply["error"]
        assert about["code"] in SOCKET_CODES
        assert about["code"] != "internal_error"
        assert {*about} >= {"code", "message", "server_time"}
    assert {code for code, _ in client.connection.closed} <= CLOSES


def run(scenario: Callable[[Gateway, Client], Any]) -> None:
    """In both encodings, without a fault."""

    @virtual
    async def both() -> None:
        async with gateway(services=Refusing()) as g:
            g.stands()
            for codec in (MSGPACK, JSON):
                client = g.client(codec)
                await scenario(g, client)
                for _, answer in g.routes.sent:
                    answer(refused("not_found", EPOCH_MS))
                g.routes.sent.clear()
                await turns(8)
                check_answers(client)
                client.session.closed()
            assert g.admission.in_flight == 0

    with capture_logs() as logs:
        both()
    assert [entry for entry in logs if entry["event"] in FAULTS] == []


@given(steps)
@settings(max_examples=120)
def test_no_order_of_frames_does_harm_and_every_answer_is_documented(frames_sent: list[Any]):
    async def scenario(_: Gateway, client: Client) -> None:
        for frame in frames_sent:
            data = encoded(client.connection.codec.binary, frame)
            if data is not None and not client.connection.closed:
                client.session.received(data)
                await turns(2)

    run(scenario)


@given(st.lists(frames | sound, min_size=1, max_size=4), st.data())
@settings(max_examples=80)
def test_no_cut_frame_does_harm(frames_sent: list[Any], data: st.DataObject):
    async def scenario(_: Gateway, client: Client) -> None:
        await client.hello()
        for frame in frames_sent:
            whole = encoded(client.connection.codec.binary, frame)
            if whole and not client.connection.closed:
                client.session.received(whole[: data.draw(st.integers(0, len(whole)))])
                await turns(2)

    run(scenario)


@given(st.sampled_from(OPS), fields, values, values)
@settings(max_examples=60)
def test_a_field_twice_is_never_taken(op: str, name: str, first: Any, second: Any):
    async def scenario(g: Gateway, client: Client) -> None:
        await client.hello()
        pairs = [("op", op), ("id", 7), ("auction", id_text(AUCTION)), ("amount", 5), ("key", "k"), (name, first)]
        try:
            if client.connection.codec.binary:
                packed = b"".join(msgpack.packb(one) for pair in [*pairs, (name, second)] for one in pair)
                client.session.received(bytes([0x80 | len(pairs) + 1]) + packed)
            else:
                text = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in [*pairs, (name, second)])
                client.session.received("{" + text + "}")
        except (OverflowError, TypeError, UnicodeEncodeError):
            return
        assert g.routes.sent == []

    run(scenario)


def test_forged_tokens_are_refused_with_their_code_and_close():
    for token in forged():

        async def scenario(_: Gateway, client: Client, token: str = token) -> None:
            data = encoded(client.connection.codec.binary, {"op": "hello", "id": 1, "token": token})
            assert data is not None
            client.session.received(data)
            await turns(2)
            (reply,) = client.connection.frames
            assert reply["error"]["code"] == "unauthenticated"
            assert [code for code, _ in client.connection.closed] == [CLOSE_TOKEN]
            assert token not in str(reply) or len(token) < 3

        run(scenario)


def test_a_frame_above_the_limit_closes_and_one_below_is_read():
    async def scenario(_: Gateway, client: Client) -> None:
        await client.hello()
        binary = client.connection.codec.binary
        fitting = {"op": "ping", "id": 2, "x": "y" * (FRAME_BYTES_MAX - 100)}
        client.session.received(encoded(binary, fitting) or "")
        await turns(2)
        assert client.connection.closed == []
        for size in (FRAME_BYTES_MAX, 10_000_000):
            client.session.received(encoded(binary, {"op": "ping", "id": 3, "x": "y" * size}) or "")
            await turns(2)
        assert {code for code, _ in client.connection.closed} == {CLOSE_TOO_LARGE}

    run(scenario)


def test_deep_nesting_is_refused():
    async def scenario(_: Gateway, client: Client) -> None:
        await client.hello()
        for depth in (50, 2_000, 7_000):
            if client.connection.codec.binary:
                client.session.received(b"\x83\xa2op\xa4ping\xa2id\x07\xa1x" + b"\x91" * depth + b"\x01")
            else:
                client.session.received('{"op": "ping", "id": 7, "x": ' + "[" * depth + "]" * depth + "}")
            await turns(2)
        assert client.connection.closed == []

    run(scenario)


def test_injections_are_echoed_nowhere():
    async def scenario(_: Gateway, client: Client) -> None:
        await client.hello()
        for number, text in enumerate(INJECTIONS):
            for op in OPS[1:]:
                frame = {"op": op, "id": number, "auction": text, "trade": text, "key": text[:64], "channel": text}
                client.session.received(encoded(client.connection.codec.binary, frame) or "")
                await turns(1)
        for reply in client.connection.frames:
            words = json.dumps(reply["error"]) if not reply.get("ok", True) else ""
            assert not any(text in words for text in INJECTIONS if len(text) > 3)

    run(scenario)
