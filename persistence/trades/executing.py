"""Execution of confirmed trades, exactly once: copies and money of a batch of trades change owners in one transaction.

The row of ``trade_settlements`` is the decision: a trade that has one is executed, or has failed for good. Locks are
taken in the order trades, copies, accounts, each by id. A trade is locked by its id and not by its summary row: an
append that reserves funds writes that row after it has locked accounts.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import COPY_MOVED_ON
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import SET_REFUSED, Refusal
from domain.ledger.rules import Reserve
from domain.sales.settlement import Payee, SoldCopy
from domain.trade.commands import Execute, Fail
from domain.trade.settlement import Settlement, settle
from domain.trade.state import Status, Trade
from domain.trade.terms import payments
from persistence.ledger.store import BATCH_MAX, Ledger
from persistence.postgres.guard import guard, guarded
from persistence.sales.selling import CURRENCY, lock_accounts
from persistence.trades.agreements import TRADE, states_of
from persistence.trades.protection import Protection

EXECUTION = "execution"

Decision = Execute | Fail

_read_royalty = msgspec.json.Decoder(tuple[Payee, ...]).decode
_json = msgspec.json.Encoder().encode

_CONFIRMED = "SELECT trade_id FROM trades WHERE trade_id = ANY($1::bigint[]) AND status = 'confirmed'"
_LOCK = "SELECT trade_id FROM unnest($1::bigint[]) AS t (trade_id) WHERE pg_try_advisory_xact_lock(trade_id)"
_DECIDED = """
    SELECT trade_id, code, copy_id, fee, royalties, protected_until, dispute_until FROM trade_settlements
    WHERE trade_id = ANY($1::bigint[]) AND kind = 'execution'
"""
_COPIES = """
    SELECT c.copy_id, c.card_id, c.owner_id, c.place, c.locked_by, k.royalty::text
    FROM copies c JOIN cards k ON k.card_id = c.card_id
    WHERE c.copy_id = ANY($1::bigint[]) ORDER BY c.copy_id FOR NO KEY UPDATE OF c
"""
# Parts of one statement see the copies as they were before it.
_HAND_OVER = """
    WITH given AS (
        SELECT g.*, event_hash(trade, ordered) AS hash
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[]) AS g (trade, ordered, copy_id, giver, receiver, value, fee, royalties)
    ), moved AS (
        UPDATE copies c SET owner_id = g.receiver, place = 'free', locked_by = NULL, locked_at = NULL,
            cost = nullif(g.value, 0), acquired_at = $9, provenance_seq = c.provenance_seq + 1
        FROM given g WHERE c.copy_id = g.copy_id RETURNING c.copy_id, c.card_id, c.provenance_seq
    ), recorded AS (
        INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, price, currency, source_id, event_hash)
        SELECT copy_id, provenance_seq, $9, 'trade', giver, receiver, nullif(value, 0),
            CASE WHEN value > 0 THEN $10 END, trade, hash FROM moved JOIN given g USING (copy_id)
    )
    INSERT INTO trade_copies (trade_id, copy_id, card_id, giver_id, receiver_id, currency, value, fee, royalties,
        giver_cost, giver_since, at)
    SELECT trade, m.copy_id, m.card_id, giver, receiver, $10, value, fee, royalties, before.cost, before.acquired_at, $9
    FROM moved m JOIN given g USING (copy_id) JOIN copies before USING (copy_id) ORDER BY trade, m.copy_id
"""
STORE = """
    INSERT INTO trade_settlements (trade_id, ordered_seq, kind, code, copy_id, money, fee, royalties, legs,
        protected_until, dispute_until, at, currency, event_hash)
    SELECT trade, ordered, kind, code, copy, money, fee, royalties, legs::jsonb, protected_until, dispute_until, $12,
        $13, event_hash(trade, ordered)
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::text[], $10::bigint[], $11::bigint[]) AS s (trade, ordered, kind, code, copy, money, fee,
        royalties, legs, protected_until, dispute_until)
    ORDER BY trade
"""


class Stored(msgspec.Struct, frozen=True):
    """A row of ``trade_settlements``: what became of the order at ``ordered`` in the trade's log."""

    trade: int
    ordered: int
    kind: str
    code: str | None
    copy: int | None
    money: int
    fee: int
    royalties: int
    legs: str
    protected_until: int
    dispute_until: int


class Executions:
    """Every method may raise StoreUnavailable, LedgerConflict: then repeat the same call."""

    def __init__(self, pool: asyncpg.Pool, protection: Protection) -> None:
        self._pool = pool
        self._protection = protection

    async def execute(self, ordered: Mapping[int, int], now_ms: int) -> dict[int, Decision | None]:
        """Execute these trades, given with the place of the last confirmation in their logs.

        What was decided, now or before; None: another worker executes it. Those whose logs have it are not in it.
        """
        confirmed = [row[0] for row in await guarded(self._pool.fetch(_CONFIRMED, list(ordered)))]
        if not confirmed:
            return {}
        agreed = await states_of(self._pool, confirmed)
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            locked = [row[0] for row in await connection.fetch(_LOCK, confirmed)]
            # As they are now: another worker may have had them locked.
            locked = [row[0] for row in await connection.fetch(_CONFIRMED, locked)]
            known = _read(await connection.fetch(_DECIDED, locked))
            batch = _Batch(connection, {one: agreed[one] for one in locked if one not in known}, now_ms)
            decided = known | await batch.execute(ordered, self._protection)
        return {trade: decided.get(trade) for trade in confirmed}


def _read(rows: Iterable[asyncpg.Record]) -> dict[int, Decision]:
    return {row[0]: Execute(*row[3:]) if row[1] is None else Fail(row[1], row[2]) for row in rows}


class _Batch:
    """The trades of one transaction; all of them are locked."""

    def __init__(self, connection: PoolConnectionProxy, trades: Mapping[int, Trade], now_ms: int) -> None:
        assert all(trade.status is Status.CONFIRMED for trade in trades.values()), "the summary row follows the log"
        self._connection = connection
        self._trades = trades
        self._now_ms = now_ms
        self._failed: dict[int, Fail] = {}

    async def execute(self, ordered: Mapping[int, int], protection: Protection) -> dict[int, Decision]:
        if not self._trades:
            return {}
        copies = await self._lock_copies()
        settlements = {
            number: settle(trade.legs, copies, trade.terms.fee_bp, HOUSE)
            for number, trade in self._trades.items()
            if number not in self._failed
        }
        settlements = await self._pay(settlements)
        await self._hand_over(ordered, settlements)
        decided = await self._decided(settlements, protection)
        await store(
            self._connection, [_stored(one, ordered, decided[one], settlements) for one in decided], self._now_ms
        )
        return decided

    async def _lock_copies(self) -> dict[int, SoldCopy]:
        """Those that are their givers', locked for their trade. A trade with another one has failed."""
        wanted = [
            (copy, leg.giver, number)
            for number, trade in self._trades.items() for leg in trade.legs for copy in leg.copies
        ]  # fmt: skip
        rows = await self._connection.fetch(_COPIES, sorted({copy for copy, _, _ in wanted}))
        found = {row[0]: row for row in rows}
        copies = {}
        for copy, giver, number in wanted:
            row = found.get(copy)
            if row is None or tuple(row[2:5]) != (giver, "trade", number):
                self._failed.setdefault(number, Fail(COPY_MOVED_ON, copy))
            else:
                copies[copy] = SoldCopy(copy, row[1], _read_royalty(row[5]))
        return copies

    async def _pay(self, settlements: Mapping[int, Settlement]) -> dict[int, Settlement]:
        """Release what is held for these trades, and pay. Returns those that could be paid; the others have failed."""
        users = {user for one in settlements.values() for paid in one.payments for user in (paid.payer, paid.payee)}
        accounts = await lock_accounts(self._connection, sorted(users)) if users else {}
        ledger = Ledger(self._connection)
        held = [
            Reserve(held_for(TRADE, number), user, 0, 0)
            for number in settlements
            for user, _ in payments(self._trades[number].legs)
        ]
        await ledger.reserve(held, CURRENCY)
        left, paid = dict(settlements), dict[int, Settlement]()
        while left:
            some = _some(left)
            orders = [order for number, one in some.items() for order in _orders(number, one, accounts)]
            for order, outcome in zip(
                orders, await ledger.execute(orders, self._now_ms, together=True) if orders else [], strict=True
            ):
                if isinstance(outcome, Refusal) and outcome.code != SET_REFUSED:
                    assert order.about is not None
                    self._failed.setdefault(order.about, Fail(outcome.code))
            refused = some.keys() & self._failed.keys()
            if not refused:
                paid |= some
            left = {one: of for one, of in left.items() if one not in refused and one not in paid}
        return paid

    async def _hand_over(self, ordered: Mapping[int, int], settlements: Mapping[int, Settlement]) -> None:
        rows = [
            (number, ordered[number], one.copy, one.giver, one.receiver, one.value, one.fee, one.royalties)
            for number, settlement in settlements.items()
            for one in settlement.handovers
        ]
        if rows:
            await self._connection.execute(_HAND_OVER, *zip(*rows, strict=True), self._now_ms, CURRENCY)

    async def _decided(self, settlements: Mapping[int, Settlement], rules: Protection) -> dict[int, Decision]:
        legs = {number: self._trades[number].legs for number in settlements}
        protected = await rules.protected(self._connection, legs, self._now_ms)
        until, dispute_until = self._now_ms + rules.protect_ms, self._now_ms + rules.dispute_ms
        executed = {
            number: Execute(one.fee, one.royalties, until if number in protected else 0, dispute_until)
            for number, one in settlements.items()
        }
        return {**self._failed, **executed}


def _some(left: Mapping[int, Settlement]) -> dict[int, Settlement]:
    """As many trades as the ledger takes at once."""
    count = taken = 0
    for number, one in enumerate(left.values(), 1):
        count += len(one.payments)
        if count > BATCH_MAX and taken:
            break
        taken = number
    return dict(islice(left.items(), taken))


def _orders(trade: int, settlement: Settlement, accounts: Mapping[int, int]) -> list[Transfer]:
    return [
        Transfer(
            transfer_id(TRADE, trade, EXECUTION, one.kind, one.payer, one.payee), accounts[one.payer],
            accounts[one.payee], one.amount, one.kind, trade,
        )
        for one in settlement.payments
    ]  # fmt: skip


def _stored(trade: int, ordered: Mapping[int, int], decision: Decision, settled: Mapping[int, Settlement]) -> Stored:
    if isinstance(decision, Fail):
        return Stored(trade, ordered[trade], EXECUTION, decision.code, decision.copy, 0, 0, 0, "[]", 0, 0)
    one = settled[trade]
    legs = _json(one.payments).decode()
    return Stored(
        trade, ordered[trade], EXECUTION, None, None, one.money, one.fee, one.royalties, legs,
        decision.protected_until, decision.dispute_until,
    )  # fmt: skip


async def store(connection: PoolConnectionProxy, rows: Sequence[Stored], now_ms: int) -> None:
    """Store what was decided."""
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    await connection.execute(STORE, *columns, now_ms, CURRENCY)
