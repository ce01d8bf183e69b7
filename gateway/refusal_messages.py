"""What the socket's error codes say to people, where nothing better is known."""

from actors.messages import KEY_REUSED

MESSAGES = {
    "already_leading": "you lead already, and this is not above your own maximum",
    "auction_closed": "the auction has ended",
    "auction_not_open": "the auction has not opened yet",
    "bid_too_low": "the bid is below the minimum",
    "buy_now_gone": "the auction can't be bought now any more",
    "forbidden": "you may not do this",
    "insufficient_funds": "your balance does not cover this",
    KEY_REUSED: "this key was used before, with another content",
    "not_found": "there is no such thing",
    "overloaded": "too much is waiting already; try again in a moment",
    "own_auction": "you can't bid in your own auction",
    "rate_limited": "too many commands; slow down",
    "unauthenticated": "say hello with an access token first",
    "unavailable": "nobody knows whether this happened: send the same key again",
}
