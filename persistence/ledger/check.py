"""Verification of the ledger, in SQL that is independent of the functions that write its tables.

Everything is looked at in one snapshot, so that it can be done while the ledger is at work.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from persistence.postgres.guard import guard

FINDINGS_MAX = 200
CONNECT_TIMEOUT_S = 10

UNBALANCED = "unbalanced"
OVERDRAWN = "overdrawn"
HELD = "held"
MISSING = "missing"
CHANGED = "changed"
BALANCE = "balance"
NEWEST = "newest"
STRAY = "stray"
PENDING = "pending"
WITHDRAWAL = "withdrawal"
SETTLEMENT = "settlement"
LEFT_HELD = "left_held"
OWNER = "owner"
TRADE = "trade"


class LedgerFinding(msgspec.Struct, frozen=True):
    """A fault at an account and seq. ``kind`` is stable, ``detail`` is text for people."""

    kind: str
    account: int | None
    seq: int | None
    detail: str


class LedgerCheck(msgspec.Struct, frozen=True):
    """One check: what it holds, and the statement that gives (account, seq, detail) of each place where it does not."""

    kind: str
    holds: str
    statement: str


_FOLLOWING = """
    SELECT *, lag(seq) OVER entries AS seq_before, lag(posted) OVER entries AS posted_before,
        lag(hash) OVER entries AS hash_before
    FROM ledger_entries WINDOW entries AS (PARTITION BY account_id ORDER BY seq)
"""

# As it is written down in docs/protocol.md.
_TEXT = """
    convert_to(concat(action, '|', encode(transfer_id, 'hex'), '|', encode(pending_id, 'hex'), '|', kind, '|', about,
        '|', at, '|', expires_at, '|', size, '|', account_id, '|', seq, '|', posted, '|', held), 'UTF8')
"""

CHECKS = (
    LedgerCheck(UNBALANCED, "the balances of all accounts sum to zero", """
        SELECT NULL::bigint, NULL::bigint, 'the balances in ' || currency || ' sum to ' || sum(posted)
        FROM ledger_accounts GROUP BY currency HAVING sum(posted) <> 0
    """),
    LedgerCheck(OVERDRAWN, "nobody has less than nothing available", """
        SELECT account_id, NULL::bigint, format('available is %s (posted %s, held %s)', posted - held, posted, held)
        FROM ledger_accounts WHERE (NOT may_overdraw AND posted < held) OR held < 0
    """),
    LedgerCheck(HELD, "what accounts say is held is the sum of their holds", """
        SELECT account_id, NULL::bigint,
            format('held is %s, its holds sum to %s', coalesce(a.held, 0), coalesce(h.amount, 0))
        FROM ledger_accounts a
        FULL JOIN (SELECT account_id, sum(amount) AS amount FROM ledger_holds GROUP BY account_id) h USING (account_id)
        WHERE coalesce(a.held, 0) <> coalesce(h.amount, 0) OR a.posted IS NULL
    """),
    LedgerCheck(MISSING, "no entry is missing between others", f"""
        SELECT account_id, seq, CASE WHEN seq_before = seq THEN 'there are two entries ' || seq
            WHEN seq - coalesce(seq_before, 0) = 2 THEN 'entry ' || seq - 1 || ' is missing'
            ELSE 'entries ' || coalesce(seq_before, 0) + 1 || ' to ' || seq - 1 || ' are missing' END
        FROM ({_FOLLOWING}) AS e WHERE seq <> coalesce(seq_before, 0) + 1
    """),
    LedgerCheck(CHANGED, "every entry's hash is that of its content and of the one before it", f"""
        SELECT account_id, seq, 'entry ' || seq || ' was changed: its hash is not that of its content'
        FROM ({_FOLLOWING}) AS e
        WHERE seq = coalesce(seq_before, 0) + 1 AND hash <>
            sha256(coalesce(hash_before, sha256('ece-ledger-v1'::bytea || int8send(account_id))) || {_TEXT})
    """),
    LedgerCheck(BALANCE, "every entry's balance is the one before it and what it moved", f"""
        SELECT account_id, seq, 'entry ' || seq || ' moves ' || amount || ' and takes the balance from '
            || coalesce(posted_before, 0) || ' to ' || posted
        FROM ({_FOLLOWING}) AS e
        WHERE seq = coalesce(seq_before, 0) + 1 AND posted <> coalesce(posted_before, 0) + amount
    """),
    LedgerCheck(NEWEST, "accounts stand where their newest entries leave them", """
        SELECT account_id, a.seq, CASE
            WHEN a.seq <> coalesce(e.seq, 0)
                THEN format('the account is at entry %s, the newest is %s', a.seq, coalesce(e.seq, 0))
            WHEN a.posted <> coalesce(e.posted, 0)
                THEN format('the balance is %s, by its entries it is %s', a.posted, coalesce(e.posted, 0))
            ELSE 'the account does not have the hash of its newest entry' END
        FROM ledger_accounts a LEFT JOIN LATERAL (
            SELECT seq, posted, hash FROM ledger_entries WHERE account_id = a.account_id ORDER BY seq DESC LIMIT 1
        ) e ON true
        WHERE (a.seq, a.posted, a.hash) IS DISTINCT FROM (coalesce(e.seq, 0), coalesce(e.posted, 0),
            coalesce(e.hash, sha256('ece-ledger-v1'::bytea || int8send(a.account_id))))
    """),
    LedgerCheck(STRAY, "every transfer is between two accounts of one currency", """
        SELECT debit_account, debit_seq, 'transfer ' || encode(transfer_id, 'hex') || ' is between '
            || coalesce(d.currency, 'no account') || ' and ' || coalesce(c.currency, 'no account')
        FROM ledger_transfers LEFT JOIN ledger_accounts d ON d.account_id = debit_account
        LEFT JOIN ledger_accounts c ON c.account_id = credit_account
        WHERE d.currency IS DISTINCT FROM c.currency OR d.currency IS NULL
    """),
    LedgerCheck(PENDING, "pending transfers are held until they end, and end once as what they were", """
        SELECT p.debit_account, p.debit_seq, 'pending transfer ' || encode(p.transfer_id, 'hex') || CASE
            WHEN e.transfer_id IS NULL AND h.amount IS DISTINCT FROM p.amount THEN
                ' should hold ' || p.amount || ' and holds ' || coalesce(h.amount, 0)
            WHEN h.amount IS NOT NULL THEN ' has ended and still holds ' || h.amount
            ELSE ' has ended as another' END
        FROM ledger_transfers p LEFT JOIN ledger_transfers e ON e.pending_id = p.transfer_id
        LEFT JOIN ledger_holds h ON h.reference = p.transfer_id AND h.account_id = p.debit_account
        WHERE p.action = 'pend' AND ((e.transfer_id IS NULL AND h.amount IS DISTINCT FROM p.amount)
            OR (e.transfer_id IS NOT NULL AND h.amount IS NOT NULL)
            OR (e.debit_account, e.credit_account) <> (p.debit_account, p.credit_account) OR e.amount > p.amount)
        UNION ALL
        SELECT e.debit_account, e.debit_seq, 'transfer ' || encode(e.transfer_id, 'hex') || ' ends one that never was'
        FROM ledger_transfers e LEFT JOIN ledger_transfers p ON p.transfer_id = e.pending_id AND p.action = 'pend'
        WHERE e.pending_id IS NOT NULL AND p.transfer_id IS NULL
    """),
    LedgerCheck(WITHDRAWAL, "the amounts of open withdrawals are held, and those of no other", """
        SELECT p.debit_account, p.debit_seq, 'withdrawal ' || w.withdrawal_id || ' is ' || w.state || ', of its amount '
            || coalesce(h.amount, 0) || ' is held'
        FROM ledger_withdrawals w LEFT JOIN ledger_transfers p ON p.about = w.withdrawal_id AND p.kind = 'withdrawal'
            AND p.action = 'pend'
        LEFT JOIN ledger_holds h ON h.reference = p.transfer_id
        WHERE coalesce(h.amount, 0) <> CASE WHEN w.state IN ('requested', 'waiting_for_chain', 'sending')
            THEN w.amount ELSE 0 END
        UNION ALL
        SELECT p.debit_account, p.debit_seq, 'withdrawal ' || w.withdrawal_id || ' is ' || w.state || ', and '
            || coalesce(t.amount, 0) || ' was paid for it'
        FROM ledger_withdrawals w LEFT JOIN ledger_transfers p ON p.about = w.withdrawal_id AND p.kind = 'withdrawal'
            AND p.action = 'pend'
        LEFT JOIN ledger_transfers t ON t.pending_id = p.transfer_id AND t.action = 'post'
        WHERE coalesce(t.amount, 0) <> CASE WHEN w.state = 'paid' THEN w.amount ELSE 0 END
    """),
    LedgerCheck(SETTLEMENT, "what was paid for every auction is what its settlements and refunds say", """
        SELECT NULL::bigint, NULL::bigint,
            format('auction %s: %s was paid and %s paid back, its settlements say %s and %s',
                coalesce(s.auction_id, t.about), coalesce(t.paid, 0), coalesce(t.back, 0), coalesce(s.paid, 0),
                coalesce(s.back, 0))
        FROM (
            SELECT auction_id, sum(s.price) AS paid,
                coalesce(sum(s.price) FILTER (WHERE r.auction_id IS NOT NULL), 0) AS back
            FROM settlements s LEFT JOIN refunds r USING (auction_id, round) WHERE outcome = 'sold'
            GROUP BY auction_id
        ) s FULL JOIN (
            SELECT about, coalesce(sum(amount) FILTER (WHERE kind IN ('sale', 'fee', 'royalty')), 0) AS paid,
                coalesce(sum(amount) FILTER (WHERE kind NOT IN ('sale', 'fee', 'royalty')), 0) AS back
            FROM ledger_transfers
            WHERE kind IN ('sale', 'fee', 'royalty', 'sale_refund', 'fee_refund', 'royalty_refund')
            GROUP BY about
        ) t ON t.about = s.auction_id
        WHERE (coalesce(s.paid, 0), coalesce(s.back, 0)) <> (coalesce(t.paid, 0), coalesce(t.back, 0))
    """),
    LedgerCheck(LEFT_HELD, "nothing is held for winners who have paid", """
        SELECT h.account_id, NULL::bigint, format('auction %s is settled, and %s is still held', a.auction_id, h.amount)
        FROM ledger_holds h JOIN auctions a ON h.reference = convert_to('auction:', 'UTF8') || int8send(a.auction_id)
        JOIN ledger_accounts l ON l.account_id = h.account_id AND l.owner_id = a.winner_id
        WHERE a.settlement IN ('paid', 'done')
    """),
    LedgerCheck(OWNER, "copies are whose their newest provenance says, and were sold by a settlement", """
        SELECT NULL::bigint, NULL::bigint, format('copy %s is of user %s, its provenance %s says %s', c.copy_id,
            c.owner_id, c.provenance_seq, p.to_owner)
        FROM copies c LEFT JOIN provenance p ON p.copy_id = c.copy_id AND p.seq = c.provenance_seq
        WHERE p.to_owner IS DISTINCT FROM c.owner_id
        UNION ALL
        SELECT NULL, NULL, format('copy %s was sold in auction %s to user %s, by no settlement', p.copy_id,
            p.source_id, p.to_owner)
        FROM provenance p LEFT JOIN settlements s ON s.auction_id = p.source_id AND s.buyer_id = p.to_owner
            AND s.seller_id = p.from_owner
        WHERE p.reason = 'sale' AND s.auction_id IS NULL
    """),
    LedgerCheck(TRADE, "trades were executed as their settlements say, once, and nothing is held for them", """
        SELECT NULL::bigint, NULL::bigint,
            format('trade %s: %s was paid and %s paid back, its settlements say %s and %s',
                coalesce(s.trade_id, t.about), coalesce(t.paid, 0), coalesce(t.back, 0), coalesce(s.paid, 0),
                coalesce(s.back, 0))
        FROM (
            SELECT trade_id, coalesce(sum(money) FILTER (WHERE kind = 'execution'), 0) AS paid,
                coalesce(sum(money) FILTER (WHERE kind = 'reversal'), 0) AS back
            FROM trade_settlements WHERE code IS NULL GROUP BY trade_id
        ) s FULL JOIN (
            SELECT about, coalesce(sum(amount) FILTER (WHERE kind NOT LIKE '%refund'), 0) AS paid,
                coalesce(sum(amount) FILTER (WHERE kind LIKE '%refund'), 0) AS back
            FROM ledger_transfers
            WHERE kind IN ('trade', 'trade_fee', 'trade_royalty', 'trade_refund', 'trade_fee_refund',
                'trade_royalty_refund')
            GROUP BY about
        ) t ON t.about = s.trade_id
        WHERE (coalesce(s.paid, 0), coalesce(s.back, 0)) <> (coalesce(t.paid, 0), coalesce(t.back, 0))
        UNION ALL
        SELECT h.account_id, NULL, format('trade %s is executed, and %s is still held', s.trade_id, h.amount)
        FROM trade_settlements s
        JOIN ledger_holds h ON h.reference = convert_to('trade:', 'UTF8') || '\\x0000'::bytea || int8send(s.trade_id)
        WHERE s.kind = 'execution' AND s.code IS NULL
        UNION ALL
        SELECT NULL, NULL, format('copy %s was traded in trade %s to user %s, by no settlement', p.copy_id, p.source_id,
            p.to_owner)
        FROM provenance p LEFT JOIN trade_copies c ON c.trade_id = p.source_id AND c.copy_id = p.copy_id
            AND c.giver_id = p.from_owner AND c.receiver_id = p.to_owner
        LEFT JOIN trade_settlements s ON s.trade_id = c.trade_id AND s.kind = 'execution' AND s.code IS NULL
        WHERE p.reason = 'trade' AND s.trade_id IS NULL AND EXISTS (SELECT FROM entities WHERE entity_id = p.source_id)
    """),
)  # fmt: skip


class LedgerChecker:
    """Looks at one database through one connection, in one snapshot."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def counts(self) -> dict[str, int]:
        """How much there is to look at."""
        row = await self._connection.fetchrow(
            "SELECT (SELECT count(*) FROM ledger_accounts) AS accounts,"
            " (SELECT count(*) FROM ledger_transfers) AS transfers, (SELECT count(*) FROM ledger_holds) AS holds"
        )
        assert row is not None, "three counts"
        return dict(row)

    async def findings(self, check: LedgerCheck) -> tuple[int, list[LedgerFinding]]:
        """How many places there are where the check does not hold, and the first of them."""
        rows = await self._connection.fetch(
            f"SELECT *, count(*) OVER () FROM ({check.statement}) AS found (account, seq, detail)"
            f" ORDER BY account, seq LIMIT {FINDINGS_MAX}"
        )
        return (rows[0][3] if rows else 0), [LedgerFinding(check.kind, row[0], row[1], row[2]) for row in rows]


@asynccontextmanager
async def ledger_checker(database_url: str) -> AsyncIterator[LedgerChecker]:
    """A checker, whose snapshot is from when it is opened. Raises StoreUnavailable."""
    async with guard():
        connection: Any = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield LedgerChecker(connection)
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
