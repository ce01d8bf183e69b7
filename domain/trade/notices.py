"""Of which events of a trade its parties are notified."""

from typing import Any

import msgspec

from domain.trade import events


class Notice(msgspec.Struct, frozen=True):
    """The kind of the notification, the party who caused it and so gets none, and what it says beside the trade."""

    kind: str
    by: int | None = None
    data: dict[str, Any] = {}


def notice_of(event: events.Event) -> Notice | None:
    """None: nobody is notified."""
    match event:
        case events.Offered(terms):
            return Notice("trade_offered", terms.proposer)
        case events.Countered(by):
            return Notice("trade_countered", by)
        case events.Accepted(by, agreement=agreement) if agreement is not None:
            return Notice("trade_agreed", by)
        case events.Executed():
            return Notice("trade_executed")
        case events.Disputed(by):
            return Notice("trade_disputed", by)
        case events.Judged(upheld=upheld, appeal_by=appeal_by):
            return Notice("trade_judged", data={"upheld": upheld, "final": appeal_by is None})
        case events.Reversed(None):
            return Notice("trade_reversed")
    return _ended(event)


def _ended(event: events.Event) -> Notice | None:
    match event:
        case events.Declined(by, _, withdrawn):
            return Notice("trade_ended", by, {"reason": "withdrawn" if withdrawn else "declined"})
        case events.Expired():
            return Notice("trade_ended", data={"reason": "expired"})
        case events.Invalidated(_, reason):
            return Notice("trade_ended", data={"reason": reason})
        case events.Failed(code):
            return Notice("trade_ended", data={"reason": code})
    return None
