"""Lots of real online estate auctions, as JSON: proxy bids with the price that the site showed after each.

`{"increments_base_units": [[from_price, step], …], "lots": {"name": [[seconds, bidder, maximum, price after], …]}}`,
maxima and prices in cents. All lots start at 1.00.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec

from bench.recordings.model import Dataset, RecordedAuction, RecordedBid, UnusableRecording

CENT = 10_000
STARTING_PRICE = 100 * CENT
DAY_S = 86_400
CENTS_MAX = 10**11

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Cents = Annotated[int, msgspec.Meta(ge=1, le=CENTS_MAX)]


class _Bid(msgspec.Struct, array_like=True, frozen=True):
    at_s: Annotated[int, msgspec.Meta(ge=0, le=366 * DAY_S)]
    bidder: Text
    maximum: Cents
    price_after: Cents


class _Lots(msgspec.Struct, frozen=True):
    increments_base_units: Annotated[list[tuple[int, int]], msgspec.Meta(min_length=1)]
    lots: dict[Text, Annotated[list[_Bid], msgspec.Meta(min_length=1)]]


def read_estate_lots(path: Path) -> Dataset:
    """Read the whole file. Raises UnusableRecording, or OSError when it can't be read."""
    try:
        recorded = msgspec.json.decode(path.read_bytes(), type=_Lots)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnusableRecording(f"{path.name} is no file of estate lots: {error}") from None
    steps = tuple(recorded.increments_base_units)
    return Dataset(tuple(_auction(name, bids, steps) for name, bids in recorded.lots.items()))


def _auction(name: str, bids: list[_Bid], steps: tuple[tuple[int, int], ...]) -> RecordedAuction:
    return RecordedAuction(
        auction_id=name,
        item="Estate lot",
        starting_price=STARTING_PRICE,
        closing_price=bids[-1].price_after * CENT,
        # Each lot has bidders of its own: the same name in another is somebody else.
        bids=tuple(
            RecordedBid(f"{name}_{bid.bidder}", bid.maximum * CENT, Decimal(bid.at_s) / DAY_S, bid.price_after * CENT)
            for bid in bids
        ),
        steps=steps,
    )
