"""The caller's money: balance, entries, statement, deposits, withdrawals; and decisions of operators."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from starlette.responses import Response

from domain.ids import InvalidId, id_text, parse_id
from domain.ledger.currencies import CURRENCIES, Currency
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import Refusal
from domain.ledger.withdrawals import Refusal as WithdrawalRefusal
from domain.ledger.withdrawals import State
from gateway.http.problems import Problem, ledger_problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import Nothing
from gateway.rest.callers import Depositor, FreshSecondFactor, IdempotencyKey, PayoutManager, Reader, Withdrawer
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.ledger.bodies import (
    STATEMENT_COLUMNS,
    Balances,
    CurrencyCode,
    Deposit,
    EntryPage,
    NewDeposit,
    NewWithdrawalBody,
    Rejection,
    RequestedPage,
    RequestedWithdrawal,
    Time,
    WithdrawalItem,
    WithdrawalPage,
    entry_json,
    statement_lines,
    withdrawal_json,
)
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.wallets.destinations import check_destination
from persistence.ledger.faucet import faucets_of
from persistence.ledger.reading import PAGE_MAX as ENTRIES_PAGE_MAX
from persistence.ledger.reading import EntryFilter
from persistence.ledger.withdrawals import PAGE_MAX, NewWithdrawal, Withdrawal
from persistence.postgres.idempotency import Begun

PAGE_DEFAULT = 50
STATEMENT_ROWS_MAX = 10_000
FAUCET_NOTICE = "This engine has a faucet: the money came from nowhere and is worth nothing."

router = api_router("ledger")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
OfCurrency = Annotated[CurrencyCode, Query()]
Kind = Annotated[str | None, Query(pattern=r"^[a-z][a-z_]{0,31}$", description="`deposit`, `withdrawal`, …")]
Since = Annotated[Time | None, Query(description="From this time on (milliseconds)")]
Until = Annotated[Time | None, Query(description="Before this time (milliseconds)")]


@router.get("/ledger/balance", response_model=Balances, summary="What one has")
async def balance(services: ServicesDep, caller: Reader) -> Response:
    """One balance for each currency there is."""
    rows = {row.currency: row for row in await services.money.reading.balances(caller.user_id)}
    balances = []
    for currency in CURRENCIES.values():
        row = rows.get(currency.code)
        posted, held = (row.posted, row.held) if row is not None else (0, 0)
        amounts = {"posted": posted, "pending": held, "available": posted - held}
        balances.append({"currency": currency.code, "decimals": currency.decimals, **amounts})
    return answered({"balances": balances})


@router.get("/ledger/entries", response_model=EntryPage, summary="What happened to one's balance")
async def entries(
    services: ServicesDep,
    caller: Reader,
    currency: OfCurrency = "USDC",
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """The newest first. Nothing is ever changed in them or taken away."""
    its_currency = _currency(currency)
    name = f"entries {caller.user_id} {its_currency.code} {kind} {since} {until}"
    before = number_in(name, cursor)
    wanted = EntryFilter(kind, since, until)
    rows = await services.money.reading.entries(caller.user_id, its_currency.code, wanted, before, limit + 1)
    following = encode_cursor(name, rows[limit - 1].seq) if rows[limit:] else None
    return answered({"items": [entry_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get(
    "/ledger/statement",
    summary="One's entries as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "A header line, then the newest entry first"}},
)
async def statement(
    services: ServicesDep, caller: Reader, currency: OfCurrency = "USDC", since: Since = None, until: Until = None
) -> Response:
    """Amounts in whole units. At most 10,000 entries: choose a shorter time where there are more."""
    its_currency, wanted = _currency(currency), EntryFilter(None, since, until)
    parts, count, before = [",".join(STATEMENT_COLUMNS) + "\r\n"], 0, None
    while True:
        rows = await services.money.reading.entries(caller.user_id, its_currency.code, wanted, before, ENTRIES_PAGE_MAX)
        count += len(rows)
        if count > STATEMENT_ROWS_MAX:
            raise Problem("invalid_request", f"more than {STATEMENT_ROWS_MAX:,} entries: choose a shorter time")
        parts.append(statement_lines(rows, its_currency))
        if len(rows) < ENTRIES_PAGE_MAX:
            break
        before = rows[-1].seq
    headers = {"Content-Disposition": f'attachment; filename="statement-{its_currency.code}.csv"'}
    return Response("".join(parts), headers=headers, media_type="text/csv; charset=utf-8")


@router.post("/ledger/deposits", status_code=201, response_model=Deposit, summary="Take money out of the faucet")
async def deposit(services: ServicesDep, caller: Depositor, key: IdempotencyKey, body: NewDeposit) -> Response:
    """Only where the engine has a faucet, which is where no real money is. The answer says so."""
    money = services.money
    if not money.rules.faucet:
        raise Problem("faucet_off")
    currency = _currency(body.currency)

    async def work(begun: Begun) -> tuple[int, bytes]:
        if body.amount > money.rules.faucet_max:
            raise InvalidRequest("deposit_too_large", maximum=money.rules.faucet_max)
        faucet = (await faucets_of(money.ledger, [caller.user_id], currency.code))[caller.user_id]
        user = (await money.ledger.accounts([caller.user_id], currency.code))[caller.user_id]
        order = Transfer(
            transfer_id("deposit", begun.created_id), faucet, user, body.amount, "deposit", begun.created_id
        )
        (outcome,) = await money.ledger.execute([order], services.now_ms())
        if isinstance(outcome, Refusal):
            raise ledger_problem(outcome)
        return 201, encode(
            {"id": id_text(begun.created_id), "state": "posted", "source": "faucet", "amount": body.amount,
             "currency": currency.code, "at": outcome.recorded.at, "notice": FAUCET_NOTICE}
        )  # fmt: skip

    return await idempotent(services, Posted(caller, key, f"deposit {body.model_dump_json()}"), work)


@router.post("/ledger/withdrawals", status_code=201, response_model=WithdrawalItem, summary="Ask to be paid out")
async def withdraw(
    services: ServicesDep, caller: Withdrawer, _fresh: FreshSecondFactor, key: IdempotencyKey, body: NewWithdrawalBody
) -> Response:
    """The amount is held at once. Above a threshold an operator has to approve; then it waits for a chain."""
    currency = _currency(body.currency)

    async def work(begun: Begun) -> tuple[int, bytes]:
        if await services.money.withdrawals.get(begun.created_id) is None:
            await check_destination(services, body.destination)
        wanted = NewWithdrawal(begun.created_id, caller.user_id, currency.code, body.amount, body.destination)
        money = services.money
        made = await money.withdrawals.request(wanted, money.rules.withdrawals, services.now_ms())
        if isinstance(made, Refusal):
            raise ledger_problem(made)
        return 201, encode(await _shown(services, made))

    return await idempotent(services, Posted(caller, key, f"withdraw {body.model_dump_json()}"), work)


@router.get("/ledger/withdrawals", response_model=WithdrawalPage, summary="One's withdrawals")
async def list_withdrawals(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """The newest first."""
    name = f"withdrawals {caller.user_id}"
    before = number_in(name, cursor)
    rows = await services.money.withdrawals.page(limit + 1, user=caller.user_id, before=before)
    items = [withdrawal_json(row, services.money.payouts.chain) for row in rows[:limit]]
    return answered({"items": items, "next_cursor": encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None})


@router.get("/ledger/withdrawals/{withdrawal_id}", response_model=WithdrawalItem, summary="One withdrawal")
async def get_withdrawal(services: ServicesDep, caller: Reader, withdrawal_id: str) -> Response:
    """Only one's own."""
    found = await services.money.withdrawals.get(_withdrawal_id(withdrawal_id))
    if found is None or found.user != caller.user_id:
        raise Problem("not_found", "you have no such withdrawal")
    return answered(withdrawal_json(found, services.money.payouts.chain))


@router.post(
    "/ledger/withdrawals/{withdrawal_id}/cancel", response_model=WithdrawalItem, summary="Don't pay out after all"
)
async def cancel_withdrawal(
    services: ServicesDep, caller: Withdrawer, key: IdempotencyKey, withdrawal_id: str, _body: Nothing = None
) -> Response:
    """While it is asked for or waits: the money is free again."""
    number = _withdrawal_id(withdrawal_id)

    async def work(_begun: Begun) -> tuple[int, bytes]:
        decided = await services.money.withdrawals.decide(
            number, State.CANCELLED, caller.user_id, services.now_ms(), owner=caller.user_id
        )
        return 200, encode(await _shown(services, decided))

    return await idempotent(services, Posted(caller, key, f"cancel withdrawal {number}"), work)


@router.get("/admin/withdrawals", response_model=RequestedPage, summary="Withdrawals of all", tags=["admin"])
async def requested_withdrawals(
    services: ServicesDep,
    _operator: PayoutManager,
    state: Literal[
        "requested", "waiting_for_chain", "sending", "paid", "failed", "rejected", "cancelled"
    ] = "requested",
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Those in this state, the newest first. For operators."""
    name = f"all withdrawals {state}"
    before = number_in(name, cursor)
    rows = await services.money.withdrawals.page(limit + 1, state=state, before=before)
    chain = services.money.payouts.chain
    items = [withdrawal_json(row, chain) | {"user": id_text(row.user)} for row in rows[:limit]]
    return answered({"items": items, "next_cursor": encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None})


@router.post(
    "/admin/withdrawals/{withdrawal_id}/approve",
    response_model=RequestedWithdrawal,
    summary="Let it be paid out",
    tags=["admin"],
)
async def approve_withdrawal(
    services: ServicesDep, operator: PayoutManager, key: IdempotencyKey, withdrawal_id: str, _body: Nothing = None
) -> Response:
    """For operators, not for their own."""
    return await _decided(services, operator, key, withdrawal_id, State.WAITING_FOR_CHAIN, None)


@router.post(
    "/admin/withdrawals/{withdrawal_id}/reject",
    response_model=RequestedWithdrawal,
    summary="Don't let it be paid out",
    tags=["admin"],
)
async def reject_withdrawal(
    services: ServicesDep, operator: PayoutManager, key: IdempotencyKey, withdrawal_id: str, body: Rejection
) -> Response:
    """The money is its owner's again. For operators."""
    return await _decided(services, operator, key, withdrawal_id, State.REJECTED, body.reason)


async def _decided(
    services: Services, operator: Identity, key: str, withdrawal_id: str, wanted: State, reason: str | None
) -> Response:
    number = _withdrawal_id(withdrawal_id)

    async def work(_begun: Begun) -> tuple[int, bytes]:
        found = await services.money.withdrawals.get(number)
        if found is not None and found.user == operator.user_id:
            raise Problem("forbidden", "nobody decides on their own withdrawal")
        if found is not None and wanted is State.WAITING_FOR_CHAIN and _approved_by(found, operator.user_id):
            # A retry whose first answer was lost finds it on its way.
            return 200, encode(withdrawal_json(found, services.money.payouts.chain) | {"user": id_text(found.user)})
        decided = await services.money.withdrawals.decide(number, wanted, operator.user_id, services.now_ms(), reason)
        shown = await _shown(services, decided)
        assert isinstance(decided, Withdrawal), "what else there is was raised"
        return 200, encode(shown | {"user": id_text(decided.user)})

    return await idempotent(services, Posted(operator, key, f"{wanted} withdrawal {number} {reason}"), work)


async def _shown(services: Services, decided: Withdrawal | WithdrawalRefusal | None) -> dict[str, Any]:
    """The withdrawal for its owner; passed to the payouts if it waits. Raises the problem of a refusal."""
    if decided is None:
        raise Problem("not_found", "there is no such withdrawal")
    if isinstance(decided, WithdrawalRefusal):
        raise Problem(decided.code, maximum=decided.maximum, retry_after_ms=decided.retry_after_ms)
    if decided.state == State.WAITING_FOR_CHAIN:
        await services.money.payouts.take(decided)
    return withdrawal_json(decided, services.money.payouts.chain)


def _approved_by(withdrawal: Withdrawal, operator: int) -> bool:
    return withdrawal.decided_by == operator and withdrawal.state in (State.SENDING, State.PAID, State.FAILED)


def _currency(code: str) -> Currency:
    currency = CURRENCIES.get(code)
    if currency is None:
        raise Problem("unknown_currency", currencies=sorted(CURRENCIES))
    return currency


def _withdrawal_id(text: str) -> int:
    try:
        return parse_id(text)
    except InvalidId:
        raise Problem("not_found", "there is no such withdrawal") from None
