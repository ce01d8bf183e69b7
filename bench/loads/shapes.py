"""Shapes of closed-loop load: so many auctions with so many bidders each."""

from dataclasses import dataclass
from typing import Any

import msgspec

from bench.engine import Engine
from bench.loads.load import STARTING_PRICE, STEP, Load, Measured, Seat
from bench.loads.processes import ProcessFailed, output_of, python_module
from bench.wire.accounts import Roster
from bench.wire.rest_client import RestClient

SELLER = "bench_seller"
DURATION_MS = 24 * 3600 * 1000
# A user bids in several auctions where a shape has more seats, with one socket for each.
USERS_MAX = 50
WARMUP_S = 2.0
# What a load process may take besides its measured time: connect, drain.
LOAD_GRACE_S = 120.0


@dataclass(frozen=True)
class Shape:
    """So many auctions with so many bidders each."""

    name: str
    auctions: int
    bidders: int
    about: str


HOT = Shape("hot", 1, 50, "1 auction × 50 bidders, each also watching it")
SPREAD = Shape("spread", 50, 4, "50 auctions × 4 bidders, each also watching its auction")
LONE = Shape("lone", 1, 1, "1 bidder, also watching")


async def measure_shape(engine: Engine, shape: Shape, seconds: float, warmup_s: float = WARMUP_S) -> Measured:
    """New auctions of this shape under load: a warm-up, then the measured window."""
    seats = await open_seats(engine, shape)
    return await run_load(Load(engine.base_url, seats, seconds, warmup_s))


async def open_seats(engine: Engine, shape: Shape, **more_terms: str) -> list[Seat]:
    """New auctions with these terms besides the usual ones, and the tokens of the bidders of each."""
    roster = Roster(engine.accounts)
    names = [f"bench_bidder_{n}" for n in range(min(USERS_MAX, shape.auctions * shape.bidders))]
    await roster.enlist([SELLER, *names])
    rest = RestClient(engine.base_url, roster)
    seats = []
    try:
        for number in range(shape.auctions):
            state = await rest.open_auction(SELLER, terms(f"Bench {shape.name} {number}") | more_terms)
            first = number * shape.bidders
            own: list[str | None] = [roster.token(names[n % len(names)]) for n in range(first, first + shape.bidders)]
            seats.append(Seat(str(state["id"]), own, STARTING_PRICE, STEP))
    finally:
        await rest.close()
    return seats


async def run_load(load: Load) -> Measured:
    """Run a load in a process of its own. Raises ProcessFailed."""
    out = await output_of(
        python_module("bench.loads.load"),
        given=msgspec.json.encode(load),
        deadline_s=load.seconds + load.warmup_s + LOAD_GRACE_S,
    )
    try:
        return msgspec.json.decode(out, type=Measured)
    except msgspec.DecodeError as error:
        raise ProcessFailed(
            f"the load process did not answer with figures ({len(out):,} bytes, ending with {out[-100:]!r}): {error}"
        ) from None


def terms(title: str) -> dict[str, Any]:
    """Of an auction that stays open for a day, with a step of one cent at every price."""
    return {
        "title": title,
        "format": "english",
        "starting_price": STARTING_PRICE,
        "increments": [[0, STEP]],
        "duration_ms": DURATION_MS,
    }
