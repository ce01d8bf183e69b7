"""What clients send about trades, and what they get. Times in milliseconds, money in base units."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from domain.ids import id_text
from domain.money import AMOUNT_MAX
from domain.trade.disputes import EVIDENCE_LENGTH_MAX, EVIDENCE_MAX
from domain.trade.terms import CONDITIONS_MAX, COOL_DOWN_MAX_MS, COPIES_MAX, EXPIRY_MAX_MS, TEXT_MAX
from gateway.rest.text import LINE, LINES
from gateway.trades.legs import LEGS_MAX, RARITY_MAX
from persistence.log.history import LoggedEvent
from persistence.trades.preferences import Block
from persistence.trades.reading import ListedTrade

Id = Annotated[str, Field(max_length=32)]
Hash = Annotated[str, Field(min_length=64, max_length=64, description="Of the terms: `hash` of the trade's state")]
Message = Annotated[str, Field(max_length=TEXT_MAX), LINES]
Words = Annotated[str, Field(min_length=1, max_length=TEXT_MAX), LINES]
Evidence = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=EVIDENCE_LENGTH_MAX), LINE]],
    Field(max_length=EVIDENCE_MAX, description="Content ids or addresses"),
]
ExpiresIn = Annotated[
    int | None,
    Field(ge=1, le=EXPIRY_MAX_MS, description="How long the offer is open; at least an hour, by default 7 days"),
]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ConditionBody(_Body):
    """One copy of any card that matches all that is given."""

    card: Id | None = None
    set: Annotated[Id | None, Field(description="The id of the set")] = None
    rarity: Annotated[str, Field(max_length=RARITY_MAX)] | None = None


class LegBody(_Body):
    """What `giver` gives to `receiver`; both by their ids. One leg for each pair of users."""

    giver: Id
    receiver: Id
    copies: Annotated[list[Id], Field(max_length=COPIES_MAX)] = []
    money: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = 0
    conditions: Annotated[list[ConditionBody], Field(max_length=CONDITIONS_MAX)] = []


LegBodies = Annotated[list[LegBody], Field(max_length=LEGS_MAX)]


class NewTrade(_Body):
    """An offer. Who gives or gets something in the legs is a party: two to five users, the caller among them."""

    legs: LegBodies
    message: Message = ""
    expires_in_ms: ExpiresIn = None


class CounterBody(NewTrade):
    """A counter-offer in place of the offer of this `version`. It stays open as long as that one, unless it says."""

    version: Annotated[int, Field(ge=0, le=2**53)]


class AcceptBody(_Body):
    """`copies`: one for each of one's own conditions, in their order."""

    hash: Hash
    copies: Annotated[list[Id], Field(max_length=CONDITIONS_MAX)] = []


class ConfirmBody(_Body):
    """Who has a second factor shows it in `X-Second-Factor`."""

    hash: Hash


class MessageBody(_Body):
    """A message to all parties. Contact data are masked where the engine is set so."""

    text: Words


class DraftBody(_Body):
    """The common draft in place of the one of version `draft` (0: there is none). It binds nobody."""

    draft: Annotated[int, Field(ge=0, le=2**53)]
    legs: LegBodies


class DisputeBody(_Body):
    """A complaint about an executed trade."""

    reason: Words
    evidence: Evidence = []


class ResponseBody(_Body):
    """An answer to a dispute, or more evidence."""

    text: Words
    evidence: Evidence = []


class ReasonBody(_Body):
    """Why."""

    reason: Words


class JudgementBody(_Body):
    """`upheld`: the trade is reversed, unless an appeal changes that."""

    upheld: bool
    reason: Words


class ValuedLegs(_Body):
    """Legs whose sides are to be compared."""

    legs: LegBodies


class SettingsBody(_Body):
    """`cool_down_ms`: one's own time between an agreement and its confirmation; `open_to_trade`: others may offer."""

    cool_down_ms: Annotated[int, Field(ge=0, le=COOL_DOWN_MAX_MS)] = 0
    open_to_trade: bool = True


class TradePartyItem(BaseModel):
    """A party of a trade."""

    id: str
    username: str


class TradeState(BaseModel):
    """A trade's state; docs/protocol.md, Trades, has all fields."""

    model_config = ConfigDict(extra="allow")

    id: str
    status: str
    proposer: str
    version: int
    hash: str
    legs: list[dict[str, Any]]
    expires_at: int
    epoch: int
    seq: int


class TradeOutcome(BaseModel):
    """A command is in the trade's log, at `seq`. `hash`: what is to be accepted or confirmed from now on."""

    trade: str
    epoch: int
    seq: int
    at: int
    outcome: str
    hash: str | None = None
    number: Annotated[int | None, Field(description="Of the version, the draft or the message")] = None
    duplicate: bool


class TradeItem(BaseModel):
    """A trade in a list; up to a second behind."""

    id: str
    status: str
    proposer: str
    parties: list[TradePartyItem]
    version: int
    money: Annotated[int, Field(description="The sum of all payments")]
    expires_at: int
    reason: str | None
    stage: Annotated[str | None, Field(description="Of its dispute")]
    updated_at: int
    awaited: Annotated[list[str], Field(description="The ids of those who have to answer next, in one's own list")]


class TradePage(BaseModel):
    """A page of trades."""

    items: list[TradeItem]
    next_cursor: str | None


class VersionItem(BaseModel):
    """An offer that was made."""

    version: int
    by: str
    at: int
    seq: int
    legs: list[dict[str, Any]]
    message: str


class VersionPage(BaseModel):
    """A page of offers, the first one first."""

    items: list[VersionItem]
    next_cursor: str | None


class MessageItem(BaseModel):
    """A message."""

    number: int
    by: str
    at: int
    seq: int
    text: str


class MessagePage(BaseModel):
    """A page of messages, the first one first."""

    items: list[MessageItem]
    next_cursor: str | None


class BlockItem(BaseModel):
    """A blocked user."""

    id: str
    username: str
    at: int


class BlockPage(BaseModel):
    """A page of blocked users."""

    items: list[BlockItem]
    next_cursor: str | None


def trade_json(trade: ListedTrade) -> dict[str, Any]:
    """A TradeItem."""
    return {
        "id": id_text(trade.trade), "status": trade.status, "proposer": id_text(trade.proposer),
        "parties": [{"id": id_text(user), "username": name} for user, name in trade.parties],
        "version": trade.version, "money": trade.money, "expires_at": trade.expires_at, "reason": trade.reason,
        "stage": trade.stage, "updated_at": trade.updated_at, "awaited": [id_text(user) for user in trade.awaited],
    }  # fmt: skip


def version_json(offer: LoggedEvent) -> dict[str, Any]:
    """A VersionItem."""
    names = ("version", "by", "legs", "message")
    return {name: offer.data[name] for name in names} | {"at": offer.at, "seq": offer.seq}


def message_json(message: LoggedEvent) -> dict[str, Any]:
    """A MessageItem."""
    return message.data | {"at": message.at, "seq": message.seq}


def block_json(block: Block) -> dict[str, Any]:
    """A BlockItem."""
    return {"id": id_text(block.user), "username": block.username, "at": block.at}
