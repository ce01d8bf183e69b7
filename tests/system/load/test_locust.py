"""`ece bench locust` against a real engine; and Locust against engines that are false on purpose."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.locust.frames import SUBPROTOCOL
from bench.locust.plan import Identity, Lot, Plan
from bench.locust.results import Result, read_results
from bench.locust.run import Load, run_locust

RUN_TIMEOUT_S = 400
FAR = 4_000_000_000_000
AUCTION = "0paeqifrs0003"


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_every_kind_of_user_works_in_two_processes_and_the_results_are_kept(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECE_")}
    results = tmp_path / "results"
    done = subprocess.run(
        [sys.executable, "-m", "ece.cli", "bench", "locust", "--seconds", "12", "--workers", "2", "--json",
         "--results", str(results)],
        env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip
    figures = json.loads(done.stdout)
    assert done.returncode == (0 if figures["passed"] else 1), done.stderr
    assert figures["errors"] == {}, "nothing fails but by the rules"
    assert (figures["profile"], figures["users"], figures["workers"]) == ("smoke", 12, 2)
    assert all(of["count"] > 0 for of in figures["kinds"].values()), figures["kinds"]
    done_by_name = {(kind, name) for kind, names in figures["names"].items() for name in names}
    assert done_by_name >= {
        ("ack", "bid"), ("ack", "offer"), ("ack", "confirm"), ("ack", "subscribe"), ("news", "event"),
        ("close", "closed"), ("rest", "list"), ("rest", "mint"), ("rest", "search"),
    }  # fmt: skip
    kept = list(read_results(results))
    assert len(list(results.iterdir())) == 2, "one file for each load process"
    assert Counter(one.kind for one in kept if one.error is None) == {
        kind: of["count"] for kind, of in figures["kinds"].items()
    }
    bids = [one for one in kept if one.name == "bid"]
    assert all((one.ack is None) == (one.error is not None) for one in bids)
    assert len({(one.ack.auction, one.ack.seq) for one in bids if one.ack is not None}) == sum(
        one.ack is not None for one in bids
    )


# --- false engines ---

Answer = Callable[[dict[str, Any]], list[dict[str, Any] | bytes]]
Wait = Callable[[], Awaitable[None]]
STATE = {"status": "open", "price": 1, "minimum": 1, "ends_at": FAR, "leader": None}
BID = {
    "epoch": 1, "at": 1, "outcome": "leading", "price": 1, "minimum": 1, "ends_at": FAR, "duplicate": False,
}  # fmt: skip
_SEQS = itertools.count(3)


def _reply(frame: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": frame["id"], "ok": True, **fields}


def right(frame: dict[str, Any]) -> list[dict[str, Any] | bytes]:
    """What an engine would answer."""
    match frame["op"]:
        case "hello":
            return [_reply(frame, session="s", server_time=1, heartbeat_ms=20_000)]
        case "subscribe":
            return [_reply(frame, epoch=1, seq=2, recovered=False, state=STATE)]
    return [_reply(frame, **BID, seq=next(_SEQS), auction=frame["auction"])]


def instead_of_bids(*answers: dict[str, Any] | bytes) -> Answer:
    """Bids are answered by these in turn."""
    turns = itertools.cycle(answers)

    def answer(frame: dict[str, Any]) -> list[dict[str, Any] | bytes]:
        if frame["op"] != "bid":
            return right(frame)
        one = next(turns)
        return [{**one, "id": frame["id"]} if isinstance(one, dict) and "channel" not in one else one]

    return answer


@asynccontextmanager
async def engine(answer: Answer, before_bids: Wait) -> AsyncIterator[str]:
    """The address of a server that answers so."""

    async def handle(socket: ServerConnection) -> None:
        try:
            async for message in socket:
                frame = msgpack.unpackb(message)
                if frame["op"] == "bid":
                    await before_bids()
                for reply in answer(frame):
                    await socket.send(reply if isinstance(reply, bytes) else msgpack.packb(reply))
        except ConnectionClosed:
            return

    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def nothing() -> None:
    """No wait."""


async def load(answer: Answer, directory: Path, before_bids: Wait = nothing) -> list[Result]:
    """What two bidders measure in some seconds of 20 bids a second."""
    async with engine(answer, before_bids) as url:
        plan = Plan(
            url=url, profile="hot", rate=20.0, bidders=[Identity("1", "ann", "token"), Identity("2", "bob", "token")],
            stocks=[], pairs=[], lots=[Lot(AUCTION, 1, FAR)], cards=[], minter=None, minted_card=None, recorded=[],
        )  # fmt: skip
        await run_locust(plan, Load(2, 3.0, 1, directory), lambda _: None)
    return list(read_results(directory))


def errors(results: list[Result]) -> set[tuple[str, str, str]]:
    return {(one.kind, one.name, one.error) for one in results if one.error is not None}


async def test_an_engine_that_answers_right_has_no_errors_and_open_loop_keeps_its_rate(tmp_path: Path):
    results = await load(right, tmp_path)
    assert errors(results) == set()
    assert 40 <= sum(one.name == "bid" for one in results) <= 65, "3 s of 20 bids a second, less the arrival of users"


UPDATE = {
    "channel": f"auction:{AUCTION}", "epoch": 1, "seq": 9, "type": "bid", "at": 1,
    "data": {"bidder": "ann", "price": 1, "minimum": 1, "outcome": "leading"},
}  # fmt: skip
FALSE = {
    "an error": {"ok": False, "error": {"code": "internal_error", "message": ""}},
    "fields are missing": {"ok": True, "auction": AUCTION, "seq": 3},
    "another auction": {"ok": True, **BID, "seq": 3, "auction": "other"},
    "no MessagePack": b"\xc1",
    "half an update": {"channel": "auction:x"},
    "an event without its data": {**UPDATE, "data": {}},
    "a position of the wrong type": {**UPDATE, "seq": "3"},
    "a gap": UPDATE,
}


async def test_a_false_engine_is_found_out(tmp_path: Path):
    results = await load(instead_of_bids(*FALSE.values()), tmp_path)
    found = Counter((one.kind, one.name, one.error) for one in results if one.error is not None)
    assert found.keys() >= {
        ("ack", "bid", "internal_error"), ("ack", "bid", "wrong_answer"), ("ack", "bid", "not_answered"),
        ("news", "frame", "wrong_answer"), ("news", "bid", "gap"),
    }  # fmt: skip
    # Two of eight, four of eight: about three times each in the run.
    assert found["ack", "bid", "wrong_answer"] >= 4
    assert found["news", "frame", "wrong_answer"] >= 8


async def test_a_bid_that_is_refused_by_the_rules_is_an_answer_with_its_code(tmp_path: Path):
    refusal = {"ok": False, "error": {"code": "bid_too_low", "message": "", "price": 5, "minimum": 6, "server_time": 7}}
    results = await load(instead_of_bids(refusal), tmp_path)
    assert errors(results) == {("ack", "bid", "bid_too_low")}
    [first, *_] = [one.refused for one in results if one.refused is not None]
    assert (first.auction, first.price, first.minimum, first.server_time) == (AUCTION, 5, 6, 7)


async def test_in_open_loop_the_time_that_bids_wait_for_a_slow_engine_counts(tmp_path: Path):
    """The engine answers one bid after another, each after 0.2 s: at 20 a second the queue grows."""
    turn = asyncio.Lock()

    async def wait() -> None:
        async with turn:
            await asyncio.sleep(0.2)

    bids = [one.ms for one in await load(right, tmp_path, before_bids=wait) if one.name == "bid"]
    assert max(bids) > 800, "each waits for those before it"
