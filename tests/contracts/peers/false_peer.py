"""A peer that acknowledges bids without storing them. As a program, it prints its port."""

import itertools

import uvloop

from bench.peers.asgi import serve
from bench.peers.row_lock import Frame, Rooms

numbers = itertools.count(1)


async def place(auction: int, bidder: int, amount: int) -> Frame:
    return {"ok": True, "seq": next(numbers), "price": amount, "minimum": amount + 1}


if __name__ == "__main__":
    uvloop.run(serve(Rooms(place).app))
