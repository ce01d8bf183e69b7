"""This engine as one of the stacks that are compared."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.engine import Engine
from bench.faults.auction_log import AuctionLog, read_logs
from bench.loads.load import Load, Measured
from bench.loads.shapes import Shape, open_seats
from bench.peers.stack import check_acks
from domain.auction.events import BidEvent


@dataclass(frozen=True)
class EngineStack:
    """Bidders are authenticated users, as everywhere."""

    engine: Engine
    database_url: str

    async def load(self, shape: Shape, seconds: float) -> Load:
        return Load(self.engine.base_url, await open_seats(self.engine, shape), seconds, keep_acks=True)

    async def check(self, load: Load, measured: Measured) -> None:
        """The row `seq` of the auction's log is a bid with the amount of the ack, which was above the price then."""
        logs = await read_logs(self.database_url, [seat.auction for seat in load.seats])
        for seat, acknowledged in zip(load.seats, measured.acknowledged, strict=True):
            log = logs[seat.auction]
            bids = {seq: event.maximum for seq, event in log.events.items() if isinstance(event, BidEvent)}
            check_acks(seat.auction, acknowledged, bids, _rises(log, bids))


def _rises(log: AuctionLog, bids: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The price before each bid after the first, and its amount. The rules ask the first for the starting price."""
    for seq, amount in list(bids.items())[1:]:
        yield log.states[seq - 1].price, amount
