"""What clients send about trade lists, and what they get. Times in milliseconds, values in base units."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.ids import id_text
from domain.trade.matching import Match, Proposal
from domain.trade.terms import COPIES_MAX, EXPIRY_MAX_MS, TEXT_MAX
from gateway.rest.text import LINE, LINES
from persistence.trades.lists import Have, Link, Want

LINK_EXPIRES_AFTER_MS = 7 * 24 * 3_600_000

Id = Annotated[str, Field(min_length=13, max_length=13)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class HaveItem(BaseModel):
    """A copy that its owner is open to trade."""

    copy_id: Annotated[str, Field(serialization_alias="copy")]
    card: str
    name: str
    set: Annotated[str, Field(description="The code of the set")]
    rarity: str
    at: int


class HavePage(BaseModel):
    """A page of copies, the newest first."""

    items: list[HaveItem]
    next_cursor: str | None


class NewWant(_Body):
    """One card, or any card of a set, of a rarity, or of both."""

    card: Id | None = None
    set: Annotated[Id | None, Field(description="The id of the set")] = None
    rarity: Annotated[str, Field(min_length=1, max_length=64), LINE] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.card is None and self.set is None and self.rarity is None:
            raise ValueError("a want has a card, a set or a rarity")
        if self.card is not None and (self.set is not None or self.rarity is not None):
            raise ValueError("a card has its set and rarity already")
        return self


class WantItem(BaseModel):
    """Something that a user wants."""

    id: str
    card: str | None
    set: str | None
    rarity: str | None
    at: int


class WantPage(BaseModel):
    """A page of wants, the newest first."""

    items: list[WantItem]
    next_cursor: str | None


class NewLink(_Body):
    """A link to an offer of one's own copies. It expires after seven days unless ``expires_in_ms`` says when."""

    copies: Annotated[list[Id], Field(max_length=COPIES_MAX)] = []
    message: Annotated[str, Field(max_length=TEXT_MAX), LINES] = ""
    expires_in_ms: Annotated[int, Field(ge=60_000, le=EXPIRY_MAX_MS)] = LINK_EXPIRES_AFTER_MS


class LinkItem(BaseModel):
    """A trade link: whose it is, and which of its copies they still have, free."""

    token: str
    user: str
    username: str
    copies: list[str]
    message: str
    expires_at: int


class LinkList(BaseModel):
    """All trade links of a user, the newest first; ``next_cursor`` is always null."""

    items: list[LinkItem]
    next_cursor: str | None


class ProposedLeg(BaseModel):
    """Who gives which copy to whom. ``value``: the card's last price, or else its lowest price now."""

    giver: str
    receiver: str
    copy_id: Annotated[str, Field(serialization_alias="copy")]
    card: str
    value: int | None


class ProposalItem(BaseModel):
    """A trade of two or three users. ``difference_bp``: of the highest value to the lowest, in basis points."""

    legs: list[ProposedLeg]
    difference_bp: int | None


class ProposalList(BaseModel):
    """Those of the most equal values first; ``next_cursor`` is always null."""

    items: list[ProposalItem]
    next_cursor: str | None


def have_json(have: Have) -> dict[str, Any]:
    """A HaveItem."""
    return {
        "copy": id_text(have.copy), "card": id_text(have.card), "name": have.name, "set": have.set_code,
        "rarity": have.rarity, "at": have.at,
    }  # fmt: skip


def want_json(want: Want) -> dict[str, Any]:
    """A WantItem."""
    card, card_set, rarity = want.condition.card, want.condition.card_set, want.condition.rarity
    return {"id": id_text(want.id), "card": _text(card), "set": _text(card_set), "rarity": rarity, "at": want.at}


def link_json(link: Link) -> dict[str, Any]:
    """A LinkItem."""
    return {
        "token": link.token, "user": id_text(link.user), "username": link.username,
        "copies": [id_text(copy) for copy in link.copies], "message": link.message, "expires_at": link.expires_at,
    }  # fmt: skip


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    """A ProposalItem."""
    return {"legs": [_leg_json(leg) for leg in proposal.legs], "difference_bp": proposal.difference_bp}


def _leg_json(leg: Match) -> dict[str, Any]:
    return {
        "giver": id_text(leg.giver), "receiver": id_text(leg.receiver), "copy": id_text(leg.copy),
        "card": id_text(leg.card), "value": leg.value,
    }  # fmt: skip


def _text(number: int | None) -> str | None:
    return None if number is None else id_text(number)
