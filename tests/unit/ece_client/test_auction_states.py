"""The state that a client keeps up by events is the one that the server would send."""

import msgspec
from auction_strategies import auctions, history
from hypothesis import given

from domain.auction.formats.english import ENGLISH
from domain.auction.state import Auction, apply
from domain.auction.views import public_event, public_state
from ece_client import AuctionState, Event
from ece_client.auction import after


def as_sent(auction: Auction) -> AuctionState:
    state = public_state(auction, 0, "shared", ENGLISH.minimum(auction, 0))
    return msgspec.json.decode(msgspec.json.encode(state), type=AuctionState)


@given(auctions)
def test_events_lead_to_the_states_that_the_server_sends(auction_and_orders):
    terms, orders = auction_and_orders
    for before, _, _, events, _ in history(terms, orders):
        auction, mine = before, as_sent(before)
        for event in events:
            auction = apply(auction, event)
            kind, data = public_event(event)
            mine = after(mine, Event("auction:a", 1, 1, kind, 0, msgspec.json.decode(msgspec.json.encode(data))))
        theirs = as_sent(auction)
        if theirs.ended:
            # After a purchase the event and the state name other minima; nobody can bid any more.
            mine = msgspec.structs.replace(mine, minimum=theirs.minimum)
        assert mine == theirs
