"""What is compared: a server under a closed loop of bids, and the check of what it acknowledged."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from bench.definition import BenchFailed
from bench.loads.load import STARTING_PRICE, STEP, Load, Measured, Seat, Wire
from bench.loads.processes import ROOT, ProcessFailed, line_of, running
from bench.loads.shapes import Shape, run_load
from bench.peers.tables import PeerTables

READY_DEADLINE_S = 60.0


class FalseAcks(BenchFailed):
    """A server acknowledged what its database does not have, or out of order: it has no figures."""


class Stack(Protocol):
    """A running server; `database_url` is that of its PostgreSQL, None for one that has none."""

    @property
    def database_url(self) -> str | None: ...

    async def load(self, shape: Shape, seconds: float) -> Load:
        """The load of this shape on new auctions, with acks kept if they can be checked."""

    async def check(self, load: Load, measured: Measured) -> None:
        """Compare what was acknowledged with what the database has. Raises FalseAcks."""


async def measure_stack(stack: Stack, shape: Shape, seconds: float) -> Measured:
    """One load and its check. Raises FalseAcks, ProcessFailed, or BenchFailed for lost connections."""
    load = await stack.load(shape, seconds)
    measured = await run_load(load)
    if measured.lost_connections:
        raise BenchFailed(f"{measured.lost_connections} connections to {load.url} were lost: there is no figure")
    await stack.check(load, measured)
    return measured


@asynccontextmanager
async def serving(command: Sequence[str], cwd: Path = ROOT) -> AsyncIterator[str]:
    """A server that prints its port; its URL. It ends with the block. Raises ProcessFailed."""
    async with running(command, cwd=cwd) as server:
        port = await line_of(server, READY_DEADLINE_S)
        if not port.strip().isdigit():
            raise ProcessFailed(f"{' '.join(command[:3])} … ended before it listened")
        yield f"http://127.0.0.1:{int(port)}"


@dataclass(frozen=True)
class PeerStack:
    """A peer with its tables. Bidders are numbers; nobody is authenticated."""

    url: str
    wire: Wire
    database_url: str
    tables: PeerTables

    async def load(self, shape: Shape, seconds: float) -> Load:
        bidders: list[str | None] = [str(number + 1) for number in range(shape.bidders)]
        auctions = await self.tables.open_auctions(shape.auctions, STARTING_PRICE)
        seats = [Seat(str(auction), bidders, STARTING_PRICE, STEP) for auction in auctions]
        return Load(self.url, seats, seconds, wire=self.wire, keep_acks=True)

    async def check(self, load: Load, measured: Measured) -> None:
        """The bid with number `seq` of an auction has the amount of the ack; amounts rise strictly."""
        for seat, acknowledged in zip(load.seats, measured.acknowledged, strict=True):
            amounts = await self.tables.amounts(int(seat.auction))
            check_acks(seat.auction, acknowledged, dict(enumerate(amounts, start=1)), pairwise(amounts))


@dataclass(frozen=True)
class EchoStack:
    """The bare echo: as many connections, nothing to check."""

    url: str
    database_url: None = None

    async def load(self, shape: Shape, seconds: float) -> Load:
        seat = Seat("0" * 13, [None] * (shape.auctions * shape.bidders), STARTING_PRICE, STEP)
        return Load(self.url, [seat], seconds, wire="echo")

    async def check(self, load: Load, measured: Measured) -> None:
        """It promises nothing."""


def check_acks(
    auction: str, acknowledged: Sequence[tuple[int, int]], amounts: Mapping[int, int], rises: Iterable[tuple[int, int]]
) -> None:
    """Each ack `(seq, amount)` is in `amounts`, by `seq`; of each of `rises` the second exceeds the first.

    Raises FalseAcks, also where nothing was acknowledged: there is nothing to compare then.
    """
    if not acknowledged:
        raise FalseAcks(f"no bid was accepted in auction {auction}")
    missing = [seq for seq, amount in acknowledged if amounts.get(seq) != amount]
    if missing:
        raise FalseAcks(
            f"{len(missing)} of {len(acknowledged)} acknowledged bids in auction {auction} are not in the database, "
            f"the first as number {min(missing)}"
        )
    if len({seq for seq, _ in acknowledged}) < len(acknowledged):
        raise FalseAcks(f"two acknowledged bids in auction {auction} have the same number")
    for before, amount in rises:
        if amount <= before:
            raise FalseAcks(f"a bid of {amount} was accepted in auction {auction} at a price of {before}")
