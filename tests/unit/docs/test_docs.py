"""The docs say what the program does: the AsyncAPI file, docs/protocol.md, and the links between all documents."""

import ast
import asyncio
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import auction_requests
import httpx
import msgspec
import pytest
import yaml
from auction_requests import public, state_answer
from fastapi import FastAPI
from jsonschema import Draft7Validator
from jsonschema.validators import extend

from actors.stream.messages import Answer, PublicEvent, Request, Update
from domain.auction.events import (
    BoughtNow,
    Cancelled,
    Closed,
    Event,
    Extended,
    LeadDefended,
    LeadRaised,
    LeadTaken,
    Listed,
    Opened,
    ReserveMet,
    Settled,
)
from domain.auction.state import Auction, apply
from domain.auction.terms import Terms
from domain.auction.views import public_event
from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES
from gateway.fanout.channels import FanOutCounts
from gateway.fanout.entity_channels import EntityChannels
from gateway.fanout.hub import Hub
from gateway.http import protocol_docs
from gateway.identity.tokens import TokenIssuer
from gateway.websocket import close_codes
from gateway.websocket.admission import Admission
from gateway.websocket.connection import SessionLimits
from gateway.websocket.operations.table import JSON, MSGPACK, OPERATIONS
from gateway.websocket.session import Session
from gateway.websocket.traffic import Traffic
from gateway.wire.codec import Codec
from gateway.wire.faults import BrokenFrame, InvalidFrame
from gateway.wire.frames import EventFrame
from persistence.redis.announcements import Listener

ROOT = Path(__file__).parents[3]
ASYNCAPI: dict[str, Any] = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
SCHEMAS: dict[str, Any] = ASYNCAPI["components"]["schemas"]
MESSAGES: dict[str, Any] = ASYNCAPI["components"]["messages"]
PROTOCOL = (ROOT / "docs/protocol.md").read_text()

# The WebSocket library's own; and the one that a refused handshake becomes an HTTP answer by.
LIBRARY_CLOSE_CODES, BEFORE_THE_HANDSHAKE = {1002}, {1013}

AUCTION_ID, NOW = 0x5_0000_0000_0001, 1_795_393_927_132
CHANNEL = f"auction:{id_text(AUCTION_ID)}"
TERMS = Terms(
    AUCTION_ID, 7, "ann", "Base Set Charizard", 1_000_000, NOW, NOW + 3_600_000, reserve_price=2_000_000, copies=(5, 6)
)
BID = (8, "bob", 5_000_000, 2_000_000, 2_250_000, NOW + 3_600_000, "k1")
ALL_EVENTS: list[Event] = [
    Listed(TERMS), Opened(), LeadTaken(*BID), ReserveMet(), LeadRaised(*BID), LeadDefended(*BID), BoughtNow(*BID),
    Extended(NOW + 3_660_000, "soft_close"), Extended(NOW + 3_660_000, "outage"), Cancelled(7),
    Closed("time", 8, "bob", 2_000_000), Closed("buy_now", 8, "bob", 2_000_000), Closed("operator", None, None, 1),
    Settled(8, 2_000_000, 100_000, 50_000),
]  # fmt: skip


def auction_after(*events: Event) -> Auction:
    auction = apply(None, Listed(TERMS))
    for event in events:
        auction = apply(auction, event)
    return auction


ALL_STATES = [
    auction_after(), auction_after(Opened()), auction_after(Opened(), LeadTaken(*BID), ReserveMet()),
    auction_after(Opened(), LeadTaken(*BID), Closed("time", 8, "bob", 2_000_000)),
    auction_after(Opened(), Closed("operator", None, None, 1_000_000)), auction_after(Cancelled(7)),
    auction_after(Opened(), LeadTaken(*BID), Closed("time", 8, "bob", 2_000_000), Settled(8, 2_000_000, 1, 0)),
]  # fmt: skip


# -- schemas


def strict(node: Any) -> Any:
    """The schema, but a field that it does not name is a fault: what the program sends has to be documented."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {name: strict(value) for name, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        closed["additionalProperties"] = False
    return closed


def validator(name: str, kind: Any = Draft7Validator, *, named_fields_only: bool = False) -> Any:
    schemas = strict(deepcopy(SCHEMAS)) if named_fields_only else SCHEMAS
    return kind({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})


def faults(name: str, frame: Any) -> list[str]:
    """What a frame of the server has that its schema does not allow."""
    checker = validator(name, named_fields_only=True)
    return [f"{list(error.absolute_path)}: {error.message}" for error in checker.iter_errors(frame)]


def schema_of(message: str) -> str:
    return str(MESSAGES[message]["payload"]["$ref"]).rsplit("/", 1)[-1]


def examples(*names: str) -> list[Any]:
    return [
        pytest.param(name, example["payload"], id=f"{name}-{i}")
        for name in names or MESSAGES
        for i, example in enumerate(MESSAGES[name]["examples"])
    ]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_document_is_asyncapi_3_and_every_reference_in_it_leads_somewhere() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert {"info", "channels", "operations", "components"} <= set(ASYNCAPI)
    for reference in references(ASYNCAPI):
        assert protocol_docs.resolve(ASYNCAPI, {"$ref": reference}) is not None


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_a_json_schema(name: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[name])


def test_every_message_is_part_of_an_operation() -> None:
    used = {reference.rsplit("/", 1)[-1] for reference in references(ASYNCAPI["operations"])} - {"socket"}
    assert used == set(MESSAGES) == set(ASYNCAPI["channels"]["socket"]["messages"])


@pytest.mark.parametrize(("message", "payload"), examples())
def test_each_example_fits_its_schema(message: str, payload: Any) -> None:
    assert faults(schema_of(message), payload) == []


# -- what clients send

# Op → message, of all messages whose `op` is a constant.
CLIENT_MESSAGES: dict[str, str] = {
    schema["properties"]["op"]["const"]: name
    for name in MESSAGES
    if "op" in (schema := SCHEMAS[schema_of(name)]).get("properties", {})
}
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1, 1.5, 2**53, 2**53 + 1, 10**15, 10**15 + 1, 2**63, "", "x", "x" * 32, "x" * 33, "x" * 64,
    "x" * 65, 0.0, -1.0, 1.0, 5e9, 2.0**53, 2.0**54, 1e300, [], {}, {"epoch": 1, "seq": 1}, {"epoch": 1.0, "seq": 5e9},
    {"epoch": 1, "seq": 1.5}, {"epoch": 1, "seq": 2**53}, {"epoch": 1, "seq": 2**53 + 1}, {"epoch": 1, "seq": 2**63},
    {"epoch": 1, "seq": 2.0**54}, {"epoch": -1, "seq": 1}, {"epoch": 1}, {"epoch": "1", "seq": 1},
)  # fmt: skip


def answered(codec: Codec, frame: Any) -> bool:
    encoded = codec.encode(frame)
    try:
        codec.decode(encoded if codec.binary else encoded.decode())
    except (InvalidFrame, BrokenFrame):
        return False
    return True


# A JSON schema can't tell 1.0 from 1; in MessagePack they are the same here, in JSON they are not.
StrictIntegers = extend(
    Draft7Validator, type_checker=Draft7Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
)


def test_the_operations_of_the_program_are_documented_and_no_other() -> None:
    assert {operation.op for operation in OPERATIONS} == set(CLIENT_MESSAGES) == set(table("### Requests"))


def variants(frame: dict[str, Any], optional: set[str]) -> Iterator[dict[str, Any]]:
    """The frame, and others that differ from it in one field."""
    yield frame
    yield from (frame | {"another": value} for value in WRONG)
    for name in frame:
        yield {other: value for other, value in frame.items() if other != name}
        yield from (frame | {name: value} for value in WRONG)
    yield from (frame | {name: value} for name in optional - frame.keys() for value in WRONG)


@pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])
@pytest.mark.parametrize(("message", "payload"), examples(*CLIENT_MESSAGES.values()))
def test_the_gateway_takes_exactly_the_frames_that_the_schemas_allow(
    codec: Codec, message: str, payload: dict[str, Any]
) -> None:
    checker = validator(schema_of(message), Draft7Validator if codec.binary else StrictIntegers)
    for frame in variants(payload, set(SCHEMAS[schema_of(message)]["properties"])):
        assert answered(codec, frame) == checker.is_valid(frame), frame


# -- what the gateway sends


def payloads(codec: Codec, written: bytes) -> Iterator[Any]:
    """The messages in whole, unmasked WebSocket frames."""
    decode = msgspec.msgpack.decode if codec.binary else msgspec.json.decode
    while written:
        size, begin = written[1], 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(written[2:begin], "big")
        assert written[0] == (0x82 if codec.binary else 0x81)
        yield decode(written[begin : begin + size])
        written = written[begin + size :]


class Socket:
    """The connection under a session, and the frames that went out."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.frames: list[Any] = []
        self.wrote = asyncio.Event()

    def write_frame(self, frame: bytes) -> None:
        self.frames += payloads(self.codec, frame)
        self.wrote.set()

    def write_soon(self, frame: bytes) -> None:
        self.write_frame(frame)

    def pause(self) -> bool:
        raise AssertionError("there is room")

    def unsent_bytes(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code}: {reason}")


class Hosts:
    """Answers each command with what comes next."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        on_answer(self._answers.pop(0))

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer:
        return self._answers.pop(0)

    def look_up_soon(self) -> None:
        pass


class Served:
    """A session of one client over these hosts."""

    def __init__(self, codec: Codec, *answers: Answer) -> None:
        self.hosts = Hosts(*answers)
        self.tokens = TokenIssuer("a-secret-of-at-least-thirty-two-characters", 900)
        self.socket = Socket(codec)
        history, listener, counts = cast(Any, SimpleNamespace()), cast(Listener, SimpleNamespace()), FanOutCounts()
        self.auctions = EntityChannels("auction", self.hosts, history, counts)
        self.hub = Hub(self.hosts, listener, [self.auctions], counts, lambda: 0)
        self.session = Session(
            self.socket,
            codec,
            OPERATIONS,
            self.hosts,
            self.hub,
            self.tokens,
            SessionLimits(),
            Admission(10),
            Traffic(),
            lambda: NOW,
        )

    def say(self, **frame: Any) -> None:
        encoded = self.socket.codec.encode(frame)
        self.session.received(encoded if self.socket.codec.binary else encoded.decode())

    async def heard(self, count: int) -> list[Any]:
        async with asyncio.timeout(5):
            while len(self.socket.frames) < count:
                self.socket.wrote.clear()
                await self.socket.wrote.wait()
        heard, self.socket.frames = self.socket.frames, []
        return heard

    async def greet(self) -> Any:
        self.say(op="hello", id=1, token=self.tokens.issue(8, "bob", DEFAULT_ROLES, NOW // 1000))
        return (await self.heard(1))[0]


@pytest.fixture(params=[MSGPACK, JSON], ids=["msgpack", "json"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return cast(Codec, request.param)


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: type(event).__name__)
def test_each_event_goes_out_as_documented(codec: Codec, event: Event) -> None:
    kind, data = public_event(event)
    (frame,) = payloads(codec, codec.frame(EventFrame(CHANNEL, 1, 3, kind, NOW, data)))
    assert faults("Event", frame) == []


@pytest.mark.parametrize("auction", ALL_STATES, ids=lambda auction: auction.status)
def test_each_state_goes_out_as_documented(codec: Codec, auction: Auction) -> None:
    state = public(auction, NOW)
    (frame,) = payloads(codec, codec.frame(EventFrame(CHANNEL, 1, 3, "state", NOW, state, watchers=7)))
    assert faults("StateFrame", frame) == []


def test_every_event_type_is_documented_and_no_other() -> None:
    assert {public_event(event)[0] for event in ALL_EVENTS} == set(SCHEMAS["Event"]["properties"]["type"]["enum"])


async def test_hello_and_ping_are_answered_as_documented(codec: Codec) -> None:
    served = Served(codec)
    assert faults("HelloReply", await served.greet()) == []
    served.say(op="hello", id="again")
    served.say(op="ping", id=2, client_time=12.5)
    served.say(op="ping", id=3)
    watcher, ping, bare_ping = await served.heard(3)
    assert faults("HelloReply", watcher) == faults("PingReply", ping) == faults("PingReply", bare_ping) == []


@pytest.mark.parametrize("outcome", ["leading", "outbid", "won"])
async def test_a_bid_is_answered_as_documented(codec: Codec, outcome: str) -> None:
    served = Served(codec, auction_requests.answered(1, 3, NOW, outcome, 2_000_000, 2_250_000, NOW + 1, True))
    await served.greet()
    served.say(op="bid", id="b", auction=id_text(AUCTION_ID), amount=5_000_000, key="k1")
    assert faults("BidReply", (await served.heard(1))[0]) == []


async def test_following_an_auction_is_answered_as_documented(codec: Codec) -> None:
    served = Served(codec, state_answer(1, 2, public(auction_after(Opened()), NOW)))
    await served.greet()
    served.say(op="subscribe", id=1, channel=CHANNEL)
    (fresh,) = await served.heard(1)
    kind, data = public_event(LeadTaken(*BID))
    bid = PublicEvent(3, NOW, kind, msgspec.Raw(msgspec.msgpack.encode(data)))
    raw = msgspec.Raw(msgspec.msgpack.encode(public(auction_after(Opened(), LeadTaken(*BID)), NOW)))
    served.auctions.channels[AUCTION_ID].apply(Update(AUCTION_ID, "auction", 1, 3, NOW, raw, False, [bid]))
    (event,) = await served.heard(1)
    served.say(op="subscribe", id=2, channel=CHANNEL, since={"epoch": 1, "seq": 2})
    (resumed,) = await served.heard(1)
    served.say(op="unsubscribe", id=3, channel=CHANNEL)
    (left,) = await served.heard(1)
    assert faults("SubscribeReply", fresh) == faults("SubscribeReply", resumed) == []
    assert (fresh["recovered"], resumed["events"]) == (False, [event])
    assert faults("Event", event) == faults("UnsubscribeReply", left) == []


async def test_faulty_frames_are_answered_as_documented(codec: Codec) -> None:
    served = Served(codec)
    for frame in ({"op": "ping", "id": 1}, {"op": "jump", "id": "x"}, {"op": "ping"}, {"op": "ping", "id": -1}):
        served.say(**frame)
    for frame in await served.heard(4):
        assert faults("Failure", frame) == []


# -- codes


def literals_passed_to(function: str, position: int, *modules: str) -> set[Any]:
    """The constants that these modules pass to a function of this name, as this argument."""
    found = set()
    for module in modules:
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            if not isinstance(node, ast.Call) or len(node.args) <= position:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            argument = node.args[position]
            if name == function and isinstance(argument, ast.Constant):
                found.add(argument.value)
    return found


def table(heading: str) -> dict[str, list[str]]:
    """The first table under this heading of docs/protocol.md: first cell → the others."""
    section = PROTOCOL.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_the_close_codes_are_those_of_the_program() -> None:
    named = {value for name, value in vars(close_codes).items() if name.startswith("CLOSE_")}
    literal = literals_passed_to(
        "close", 0, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "gateway/websocket").rglob("*.py"))
    )
    documented = {int(code) for code in ASYNCAPI["channels"]["socket"]["x-close-codes"]}
    assert documented - LIBRARY_CLOSE_CODES == (named | literal) - BEFORE_THE_HANDSHAKE
    assert documented == {int(code) for code in table("### Close codes")}


# -- the documents themselves

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/*/README.md")])


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document if not path else (document.parent / path).resolve()
        assert target.exists(), f"{document.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{document.name}: {link}"


def test_every_decision_is_listed_and_says_why() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    listed = (ROOT / "docs/decisions/README.md").read_text()
    for decision in decisions:
        text = decision.read_text()
        assert f"]({decision.name})" in listed
        assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Consequences")), decision.name
    numbers = [int(decision.name[:4]) for decision in decisions]
    assert numbers[0] == 1
    assert all(after == before + 1 for before, after in pairwise(numbers))


async def test_the_gateway_serves_the_document_and_a_page_of_it() -> None:
    app = FastAPI()
    app.include_router(protocol_docs.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ece") as client:
        as_yaml, as_json, page = [
            await client.get(f"/{path}") for path in ("asyncapi.yaml", "asyncapi.json", "docs/ws")
        ]
    assert as_yaml.content == (ROOT / "docs/asyncapi.yaml").read_bytes()
    assert as_json.json() == ASYNCAPI
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert all(f"<code>{code}</code>" in page.text for code in SCHEMAS["ErrorCode"]["enum"])
    assert "{&#x27;" not in page.text
