"""Commands to one trade, as they travel on the stream: msgpack arrays, the tag first. Keys are made by the clients."""

import msgspec

from domain.trade.terms import Leg


class Counter(msgspec.Struct, frozen=True, array_like=True, tag="counter"):
    """Replace the offer of version ``version`` by another one. All acceptances of the replaced one are void."""

    by: int
    key: str
    version: int
    legs: tuple[Leg, ...]
    message: str = ""
    expires_at: int | None = None
    cool_down_ms: int = 0


class Accept(msgspec.Struct, frozen=True, array_like=True, tag="accept"):
    """Accept exactly the offer with this hash. ``copies``: one for each of one's own conditions, in their order.

    ``cool_down_ms`` is the time that the user has set for themself, before the trade can be confirmed.
    """

    by: int
    key: str
    hash: str
    copies: tuple[int, ...] = ()
    cool_down_ms: int = 0


class Confirm(msgspec.Struct, frozen=True, array_like=True, tag="confirm"):
    """Confirm the agreement with this hash: the trade is executed once all have."""

    by: int
    key: str
    hash: str


class Decline(msgspec.Struct, frozen=True, array_like=True, tag="decline"):
    """End the negotiation; the proposer's decline is a withdrawal. Impossible once all have confirmed."""

    by: int
    key: str


class SendMessage(msgspec.Struct, frozen=True, array_like=True, tag="message"):
    """A message to all parties."""

    by: int
    key: str
    text: str


class Edit(msgspec.Struct, frozen=True, array_like=True, tag="edit"):
    """Replace the common draft, whose version has to be ``draft``. It binds nobody."""

    by: int
    key: str
    draft: int
    legs: tuple[Leg, ...]


class Invalidate(msgspec.Struct, frozen=True, array_like=True, tag="invalidate"):
    """A copy of the offer is not its giver's any more. From a worker."""

    copy: int
    reason: str


class Execute(msgspec.Struct, frozen=True, array_like=True, tag="execute"):
    """Copies and money have changed owners. From the worker that did it.

    Until ``protected_until`` (0: never) a moderator may reverse it, until ``dispute_until`` a party may dispute it.
    """

    fee: int
    royalties: int
    protected_until: int
    dispute_until: int


class Fail(msgspec.Struct, frozen=True, array_like=True, tag="fail"):
    """It can't be executed. From the worker that tried."""

    code: str
    copy: int | None = None


class Dispute(msgspec.Struct, frozen=True, array_like=True, tag="dispute"):
    """A party complains about an executed trade. ``evidence``: content ids or addresses."""

    by: int
    key: str
    reason: str
    evidence: tuple[str, ...] = ()


class Respond(msgspec.Struct, frozen=True, array_like=True, tag="respond"):
    """Another party answers a dispute, or a party adds evidence."""

    by: int
    key: str
    text: str
    evidence: tuple[str, ...] = ()


class Judge(msgspec.Struct, frozen=True, array_like=True, tag="judge"):
    """A moderator decides a dispute. ``upheld``: the trade is reversed, unless an appeal changes that."""

    by: int
    key: str
    upheld: bool
    reason: str


class Appeal(msgspec.Struct, frozen=True, array_like=True, tag="appeal"):
    """A party appeals the decision; once for each dispute."""

    by: int
    key: str
    reason: str


class Reverse(msgspec.Struct, frozen=True, array_like=True, tag="reverse"):
    """A moderator reverses a protected trade."""

    by: int
    key: str
    reason: str


class ReversalDone(msgspec.Struct, frozen=True, array_like=True, tag="reversed"):
    """Copies and money are back. From the worker that did it. ``code``: None, or why it was impossible."""

    code: str | None = None


Command = (
    Counter | Accept | Confirm | Decline | SendMessage | Edit | Invalidate | Execute | Fail | Dispute | Respond | Judge
    | Appeal | Reverse | ReversalDone
)  # fmt: skip
