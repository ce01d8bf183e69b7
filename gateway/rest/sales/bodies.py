"""What clients send about copies and sales, and what they get. Amounts in base units, times in milliseconds."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.ids import id_text
from domain.sales.settlement import FEE_BP_MAX, PAYEES_MAX, ROYALTY_BP_MAX
from gateway.rest.identity.bodies import USERNAME_PATTERN
from gateway.rest.text import LINE
from persistence.log.anchors import Anchored
from persistence.sales.copies import MAKE_MAX, Change, Copy
from persistence.sales.second_chances import Offer
from persistence.sales.selling import Settlement
from persistence.sales.settlement import Failure

REASON_LENGTH_MAX = 200
DAY_MS = 86_400_000
OFFER_MAX_MS = 14 * DAY_MS
OFFER_MS = 2 * DAY_MS

Name = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ann"])]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX), LINE]


class _Body(BaseModel):
    # Strict: 1.0, true and "1" are not integers. Unknown fields are mistakes, perhaps costly ones.
    model_config = ConfigDict(strict=True, extra="forbid")


class NewCopiesBody(_Body):
    """So many copies of a card for somebody, all of this grade (in tenths: a 9.5 is 95), or ungraded."""

    count: Annotated[int, Field(ge=1, le=MAKE_MAX)] = 1
    owner: Name
    grader: Annotated[str, Field(min_length=1, max_length=32), LINE] | None = None
    grade: Annotated[int, Field(ge=10, le=100)] | None = None


class PayeeBody(_Body):
    """Who gets a royalty of each sale, in hundredths of a percent."""

    user: Name
    basis_points: Annotated[int, Field(ge=1, le=ROYALTY_BP_MAX)]


class RoyaltyBody(_Body):
    """All who get a royalty of each later sale of a card, together half of the price at the most."""

    payees: Annotated[list[PayeeBody], Field(max_length=PAYEES_MAX)]


class Gift(_Body):
    """To whom."""

    to: Name


class SaleCancellation(_Body):
    """Why a sale is reversed. With ``second_chance_ms`` the copies are offered to the runner-up for this time."""

    reason: Reason
    second_chance_ms: Annotated[int, Field(ge=1_000, le=OFFER_MAX_MS, examples=[OFFER_MS])] | None = None
    advance: Annotated[bool, Field(description="The house pays for those who can't give back what they got")] = False


class TierBody(_Body):
    """A tier of sellers, and its fee in hundredths of a percent."""

    tier: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,31}$")]
    fee_basis_points: Annotated[int, Field(ge=0, le=FEE_BP_MAX)]


class TierChoice(_Body):
    """Which tier a seller is in from now on."""

    tier: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,31}$")]


class CopyItem(BaseModel):
    """A copy. ``auction`` has it locked while it is listed. ``trade``, ``cost`` and since when are for its owner."""

    id: str
    card: str
    name: str
    set: str
    number: str
    serial: int
    grader: str | None
    grade: Annotated[int | None, Field(description="In tenths")]
    owner: Annotated[str | None, Field(description="Username")]
    place: Literal["free", "listed", "trade", "withdrawn"]
    image: Annotated[str | None, Field(description="The first picture of its card")]
    set_name: str
    rarity: str
    auction: str | None = None
    trade: str | None = None
    cost: int | None = None
    acquired_at: int | None = None


class CopyPage(BaseModel):
    """A page of copies in the order of their making."""

    items: list[CopyItem]
    next_cursor: str | None


class MadeCopies(BaseModel):
    """The ids of new copies, in the order of their serial numbers."""

    copies: list[str]


class ProvenanceItem(BaseModel):
    """One change of owner. ``event_hash`` is that of the event that closed the auction, or confirmed the trade."""

    seq: int
    at: int
    reason: Literal["made", "sale", "trade", "gift", "refund", "deposit", "outside"]
    from_: Annotated[str | None, Field(alias="from")]
    to: str | None
    price: int | None
    currency: str | None
    auction: str | None
    trade: str | None
    event_hash: str | None


class ProvenancePage(BaseModel):
    """From the making on."""

    items: list[ProvenanceItem]
    next_cursor: str | None


class ReceiptLeg(BaseModel):
    """What the buyer paid to whom: the seller (``sale``), the house (``fee``) or a payee of the card (``royalty``)."""

    kind: Literal["sale", "fee", "royalty"]
    amount: int


class Receipt(BaseModel):
    """The result of an auction. ``round`` 2 is the second chance of the runner-up; ``refunded``: it was reversed."""

    auction: str
    round: int
    outcome: Literal["sold", "unsold", "cancelled"]
    role: Literal["buyer", "seller", "operator"]
    at: int
    currency: str
    price: int
    fee: int
    royalties: int
    net: Annotated[int, Field(description="What the seller got")]
    legs: list[ReceiptLeg]
    copies: list[str]
    event_seq: int
    event_hash: Annotated[str, Field(description="Of the event that closed the auction, in its log")]
    refunded: bool


class ReceiptAnchor(BaseModel):
    """The newest anchor of the auction's log on the chain. ``signature`` and ``slot`` are null until it is final."""

    state: Literal["pending", "final", "failed"]
    seq: Annotated[int, Field(description="The last row of the log that it covers")]
    root: Annotated[str, Field(description="Of the Merkle tree; hexadecimal")]
    signature: str | None
    slot: int | None
    proof: Annotated[str, Field(description="The path of the inclusion proof")]


class Receipts(BaseModel):
    """In the order of the rounds."""

    items: list[Receipt]
    anchor: ReceiptAnchor | None


class OfferItem(BaseModel):
    """A second chance: what somebody may have at this price, from their balance, until then."""

    auction: str
    title: str
    seller: str
    price: int
    state: Literal["offered", "accepted", "declined", "expired"]
    offered_at: int
    expires_at: int
    decided_at: int | None


class OfferPage(BaseModel):
    """A page of offers, the newest auctions first."""

    items: list[OfferItem]
    next_cursor: str | None


class FailedSale(BaseModel):
    """A sale that could not be settled yet, and why."""

    auction: str
    code: str
    detail: str
    at: int
    attempts: int


class FailedPage(BaseModel):
    """A page of failed sales, the newest auctions first."""

    items: list[FailedSale]
    next_cursor: str | None


class CancelledSale(BaseModel):
    """A sale that was reversed, and the offer to the runner-up, if any."""

    auction: str
    offer: OfferItem | None


class Fees(BaseModel):
    """What the house takes of a sale, in hundredths of a percent, by the tier of the seller."""

    tiers: list[TierBody]


def copy_json(copy: Copy, viewer: int | None) -> dict[str, Any]:
    """A CopyItem, with private fields for its owner."""
    item = {
        "id": id_text(copy.id), "card": id_text(copy.card), "name": copy.card_name, "set": copy.set,
        "number": copy.number, "serial": copy.serial, "grader": copy.grader, "grade": copy.grade,
        "owner": copy.owner_name, "place": copy.place, "image": copy.image, "set_name": copy.set_name,
        "rarity": copy.rarity,
    }  # fmt: skip
    if copy.locked_by is not None and copy.place == "listed":
        item["auction"] = id_text(copy.locked_by)
    if viewer == copy.owner:
        item |= {"cost": copy.cost, "acquired_at": copy.acquired_at}
        if copy.locked_by is not None and copy.place == "trade":
            item["trade"] = id_text(copy.locked_by)
    return item


def change_json(change: Change) -> dict[str, Any]:
    """A ProvenanceItem."""
    source = None if change.source is None else id_text(change.source)
    return {
        "seq": change.seq, "at": change.at, "reason": change.reason, "from": change.from_name, "to": change.to_name,
        "price": change.price, "currency": change.currency,
        "auction": None if change.traded else source,
        "trade": source if change.traded else None,
        "event_hash": None if change.event_hash is None else change.event_hash.hex(),
    }  # fmt: skip


def anchor_json(found: Anchored | None) -> dict[str, Any] | None:
    """A ReceiptAnchor."""
    if found is None:
        return None
    leaf = found.claim.leaf
    return {
        "state": found.state, "seq": leaf.seq, "root": found.claim.root.hex(), "signature": found.signature,
        "slot": found.slot, "proof": f"/api/v1/auctions/{id_text(leaf.entity)}/proof",
    }  # fmt: skip


def receipt_json(settlement: Settlement, copies: list[int], role: str, refunded: bool) -> dict[str, Any]:
    """A Receipt."""
    return {
        "auction": id_text(settlement.auction), "round": settlement.round, "outcome": settlement.outcome, "role": role,
        "at": settlement.at, "currency": settlement.currency, "price": settlement.price, "fee": settlement.fee,
        "royalties": settlement.royalties, "net": settlement.price - settlement.fee - settlement.royalties,
        "legs": [{"kind": kind, "amount": amount} for kind, _, amount in settlement.legs],
        "copies": [id_text(copy) for copy in copies], "event_seq": settlement.event_seq,
        "event_hash": settlement.event_hash.hex(), "refunded": refunded,
    }  # fmt: skip


def offer_json(offer: Offer) -> dict[str, Any]:
    """An OfferItem."""
    return {
        "auction": id_text(offer.auction), "title": offer.title, "seller": offer.seller_name, "price": offer.price,
        "state": offer.state, "offered_at": offer.offered_at, "expires_at": offer.expires_at,
        "decided_at": offer.decided_at,
    }  # fmt: skip


def failure_json(failure: Failure) -> dict[str, Any]:
    """A FailedSale."""
    return {
        "auction": id_text(failure.auction), "code": failure.code, "detail": failure.detail, "at": failure.at,
        "attempts": failure.attempts,
    }  # fmt: skip
