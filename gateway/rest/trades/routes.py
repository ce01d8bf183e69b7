"""Making, reading and negotiating trades. The WebSocket has the same commands (its operations on trades)."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Query
from starlette.responses import Response

from actors.stream.messages import Accepted, Answer, Refused
from domain.ids import id_text
from domain.permissions import Permission
from domain.trade.commands import Appeal, Decline, Dispute, Edit, Respond
from gateway.http.problems import refusal_problem
from gateway.rest import API_PREFIX
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import Nothing
from gateway.rest.callers import Disputant, FactorCode, IdempotencyKey, Reader, Trader
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import response_of
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from gateway.rest.trades.bodies import (
    AcceptBody,
    ConfirmBody,
    CounterBody,
    DisputeBody,
    DraftBody,
    MessageBody,
    MessagePage,
    NewTrade,
    ReasonBody,
    ResponseBody,
    TradeOutcome,
    TradePage,
    TradeState,
    VersionPage,
    message_json,
    trade_json,
    version_json,
)
from gateway.trades.answers import result_json
from gateway.trades.checks import state_json
from gateway.trades.commands import Proposed
from gateway.trades.legs import copies_of, legs_of, trade_id
from persistence.log.history import LoggedEvent
from persistence.trades.reading import PAGE_MAX

PAGE_DEFAULT = 50

router = api_router("trades")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
StatusFilter = Literal[
    "open", "agreed", "confirmed", "executed", "disputed", "reversing", "declined", "withdrawn", "expired", "invalid",
    "failed", "completed", "reversed",
]  # fmt: skip


async def _trade(trade: str) -> int:
    return trade_id(trade)


TradeId = Annotated[int, Depends(_trade)]


def outcome(trade: int, answer: Answer) -> Response:
    """The answer to a command."""
    if isinstance(answer, Refused):
        raise refusal_problem(answer)
    assert isinstance(answer, Accepted), "commands with a key are answered so"
    return answered(result_json(id_text(trade), answer), 201)


@router.post("/trades", status_code=201, response_model=TradeState, summary="Offer a trade")
async def offer(services: ServicesDep, caller: Trader, key: IdempotencyKey, body: NewTrade) -> Response:
    """The caller accepts their own offer, unless they still have to name copies. The same key gives the same trade."""
    wanted = Proposed(legs_of(body.legs), body.message, body.expires_in_ms)
    response = response_of(await services.trades.commands.offer(caller, key, wanted))
    if response.status_code == 201:
        made = msgspec.json.decode(bytes(response.body), type=dict[str, Any])
        response.headers["Location"] = f"{API_PREFIX}/trades/{made['id']}"
    return response


@router.get("/trades", response_model=TradePage, summary="One's trades")
async def own_trades(
    services: ServicesDep,
    caller: Reader,
    status: StatusFilter | None = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Those that the caller is a party of, the newest first."""
    name = f"trades {caller.user_id} {status}"
    rows = await services.trades.reading.of_user(caller.user_id, status, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].trade) if rows[limit:] else None
    return answered({"items": [trade_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/trades/{trade}", response_model=TradeState, summary="A trade's state")
async def get_trade(services: ServicesDep, caller: Reader, trade: TradeId) -> Response:
    """For its parties, and for operators where there is a dispute: straight from its host."""
    state = await services.trades.commands.state(caller, trade, moderator=caller.may(Permission.MODERATE))
    return answered(state_json(state))


@router.post("/trades/{trade}/counter", status_code=201, response_model=TradeOutcome, summary="Make a counter-offer")
async def counter(
    services: ServicesDep, caller: Trader, key: IdempotencyKey, trade: TradeId, body: CounterBody
) -> Response:
    """All acceptances of the replaced offer are void. A version that is not the newest one: `stale_terms`."""
    wanted = Proposed(legs_of(body.legs), body.message, body.expires_in_ms)
    return outcome(trade, await services.trades.commands.counter(caller, key, trade, body.version, wanted))


@router.post("/trades/{trade}/accept", status_code=201, response_model=TradeOutcome, summary="Accept the offer")
async def accept(
    services: ServicesDep, caller: Trader, key: IdempotencyKey, trade: TradeId, body: AcceptBody
) -> Response:
    """Exactly the offer with this hash. Once all have accepted, the copies and the money of all are held."""
    copies = copies_of(body.copies)
    return outcome(trade, await services.trades.commands.accept(caller, key, trade, body.hash, copies))


@router.post("/trades/{trade}/confirm", status_code=201, response_model=TradeOutcome, summary="Confirm the agreement")
async def confirm(
    services: ServicesDep, caller: Trader, key: IdempotencyKey, trade: TradeId, body: ConfirmBody,
    code: FactorCode = None,
) -> Response:  # fmt: skip
    """Once all have confirmed, the trade is executed. Not before the longest cool-down of the parties is over."""
    return outcome(trade, await services.trades.commands.confirm(caller, key, trade, body.hash, code))


@router.post("/trades/{trade}/decline", status_code=201, response_model=TradeOutcome, summary="End the negotiation")
async def decline(
    services: ServicesDep, caller: Trader, key: IdempotencyKey, trade: TradeId, _body: Nothing = None
) -> Response:
    """By the proposer it is a withdrawal. What is held is released at once."""
    return outcome(trade, await services.trades.commands.send(caller, trade, Decline(caller.user_id, key)))


@router.post("/trades/{trade}/messages", status_code=201, response_model=TradeOutcome, summary="Send a message")
async def send_message(
    services: ServicesDep, caller: Disputant, key: IdempotencyKey, trade: TradeId, body: MessageBody
) -> Response:
    """To all parties."""
    return outcome(trade, await services.trades.commands.message(caller, key, trade, body.text))


@router.post("/trades/{trade}/draft", status_code=201, response_model=TradeOutcome, summary="Edit the draft")
async def edit(services: ServicesDep, caller: Trader, key: IdempotencyKey, trade: TradeId, body: DraftBody) -> Response:
    """All parties see it at once. An edit of a draft that is not the newest one: `stale_terms`."""
    order = Edit(caller.user_id, key, body.draft, legs_of(body.legs))
    return outcome(trade, await services.trades.commands.send(caller, trade, order))


@router.post("/trades/{trade}/dispute", status_code=201, response_model=TradeOutcome, summary="Dispute a trade")
async def dispute(
    services: ServicesDep, caller: Disputant, key: IdempotencyKey, trade: TradeId, body: DisputeBody
) -> Response:
    """Once for each executed trade, within its time. The others may respond, then a moderator decides."""
    order = Dispute(caller.user_id, key, body.reason, tuple(body.evidence))
    return outcome(trade, await services.trades.commands.send(caller, trade, order))


@router.post("/trades/{trade}/respond", status_code=201, response_model=TradeOutcome, summary="Respond to a dispute")
async def respond(
    services: ServicesDep, caller: Disputant, key: IdempotencyKey, trade: TradeId, body: ResponseBody
) -> Response:
    """Any party, until the decision."""
    order = Respond(caller.user_id, key, body.text, tuple(body.evidence))
    return outcome(trade, await services.trades.commands.send(caller, trade, order))


@router.post("/trades/{trade}/appeal", status_code=201, response_model=TradeOutcome, summary="Appeal a decision")
async def appeal(
    services: ServicesDep, caller: Disputant, key: IdempotencyKey, trade: TradeId, body: ReasonBody
) -> Response:
    """Once for each dispute. Another moderator decides then, and finally."""
    order = Appeal(caller.user_id, key, body.reason)
    return outcome(trade, await services.trades.commands.send(caller, trade, order))


@router.get("/trades/{trade}/versions", response_model=VersionPage, summary="All offers of a trade")
async def versions(
    services: ServicesDep, caller: Reader, trade: TradeId, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """From the log, the first one first. For the parties, and for operators where there is a dispute."""
    await services.trades.commands.state(caller, trade, moderator=caller.may(Permission.MODERATE))
    name = f"versions {trade}"
    rows = await services.trades.reading.versions(trade, number_in(name, cursor) or 0, limit + 1)
    return answered({"items": [version_json(row) for row in rows[:limit]], "next_cursor": _next(name, rows, limit)})


@router.get("/trades/{trade}/messages", response_model=MessagePage, summary="All messages of a trade")
async def messages(
    services: ServicesDep, caller: Reader, trade: TradeId, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """From the log, the first one first. For the parties, and for operators where there is a dispute."""
    await services.trades.commands.state(caller, trade, moderator=caller.may(Permission.MODERATE))
    name = f"messages {trade}"
    rows = await services.trades.reading.messages(trade, number_in(name, cursor) or 0, limit + 1)
    return answered({"items": [message_json(row) for row in rows[:limit]], "next_cursor": _next(name, rows, limit)})


def _next(name: str, rows: list[LoggedEvent], limit: int) -> str | None:
    return encode_cursor(name, rows[limit - 1].seq) if rows[limit:] else None
