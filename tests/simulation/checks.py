"""The promises, checked against the tables after a run, with the checkers of the fault tests; and what is held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.faults.auction_log import AuctionLog
from bench.faults.checker import violations
from bench.faults.recording import Recording, Seen
from bench.faults.trades.checker import TradeLog, trade_violations
from bench.faults.trades.recording import Holdings, TradeRecording
from domain.auction.events import Settled
from domain.ids import id_text, parse_id
from domain.kinds import kind_of
from domain.ledger.ids import held_for
from domain.log.chain import LogRow
from tests.memory.tables import MemoryTables
from tests.simulation.database import Database


@dataclass(frozen=True)
class Finished:
    """Which clients are not done."""

    waiting: Sequence[str]


@dataclass(frozen=True)
class Books:
    """What users had before, and what clients recorded. ``open_auction`` is open at the end."""

    funds: Mapping[int, int]
    before: Holdings
    recording: Recording
    trades: TradeRecording
    open_auction: int


def is_still(database: Database, finished: Finished, seen: Sequence[Seen], open_auction: int) -> str:
    """Empty if nothing more will happen; otherwise what is waited for."""
    tables = database.tables
    if finished.waiting:
        return f"{list(finished.waiting)} wait for answers"
    auctions = [entity for entity, rows in tables.events.items() if rows[0].kind == "auction"]
    live = [one for one in auctions if one != open_auction and database.settlements.progress.get(one) != "done"]
    if live:
        return f"auctions {live} are not settled"
    behind = [one.auction for one in seen if one.position[1] != _last(tables, parse_id(one.auction))]
    return f"watchers of {behind} are behind" if behind else ""


def _last(tables: MemoryTables, entity: int) -> int:
    rows = tables.events.get(entity)
    return rows[-1].seq if rows else 0


def unlike_reserved(database: Database) -> list[str]:
    """Where money and copies that are held differ from what the states by the logs reserve."""
    wanted: dict[tuple[bytes, int], int] = {}
    copies: dict[int, int] = {}
    for entity, rows in database.tables.events.items():
        kind, state = kind_of(rows[0].kind), None
        settled = False
        for row in rows:
            event = kind.codec.decode_event(row.body)
            state = kind.rules.apply(state, event)
            settled = settled or isinstance(event, Settled)
        for user, reservation in kind.rules.reserved(state).items():
            if reservation.amount and not settled:
                wanted[held_for(kind.name, entity), user] = reservation.amount
            copies |= dict.fromkeys(reservation.copies, entity)
    held = {key: hold.amount for key, hold in database.holds.books.holds.items()}
    found = []
    if held != wanted:
        found.append(f"held: {_difference(held, wanted)}")
    if database.copy_locks.locks != copies:
        found.append(f"locked: {_difference(database.copy_locks.locks, copies)}")
    return found


def _difference(has: Mapping[object, object], should: Mapping[object, object]) -> str:
    keys = [key for key in {**has, **should} if has.get(key) != should.get(key)]
    return ", ".join(f"{key}: {has.get(key)}, by the log {should.get(key)}" for key in keys)


def findings(database: Database, books: Books, *, complete: bool) -> list[str]:
    """Every broken promise. ``complete``: everything has ended, so views must be complete, too."""
    rows = {
        entity: [LogRow(r.seq, r.epoch, r.at, r.command_key, r.body, r.hash) for r in of_entity]
        for entity, of_entity in database.tables.events.items()
    }
    kinds = {entity: of_entity[0].kind for entity, of_entity in database.tables.events.items()}
    auctions = {id_text(one): AuctionLog(id_text(one), rows[one]) for one in rows if kinds[one] == "auction"}
    trades = {one: TradeLog(one, rows[one]) for one in rows if kinds[one] == "trade"}
    open_name = id_text(books.open_auction)
    ended = {name: log for name, log in auctions.items() if name != open_name}
    found = violations(_part(books.recording, ended.keys()), ended, closed=complete)
    found += violations(_part(books.recording, {open_name}), {open_name: auctions[open_name]}, closed=False)
    if complete:
        accounts = database.holds.books.accounts
        users = [user for user in books.before.posted if user in set(books.before.owners.values())]
        after = Holdings(
            dict(database.copy_locks.owners), frozenset(database.copy_locks.locks),
            {user: accounts[user].posted for user in users}, {user: accounts[user].held for user in users},
        )  # fmt: skip
        found += trade_violations(books.trades, trades, books.before, after)
    return [f"{one.kind}: {one.auction} {one.detail}" for one in found] + _money(database, books, auctions)


def _part(recording: Recording, names: object) -> Recording:
    """What was recorded of these auctions."""
    return Recording(
        [one for one in recording.orders if one.auction in names],  # type: ignore[operator]
        [one for one in recording.acks if one.order.auction in names],  # type: ignore[operator]
        [one for one in recording.refused if one.order.auction in names],  # type: ignore[operator]
        [one for one in recording.seen if one.auction in names],  # type: ignore[operator]
    )


def _money(database: Database, books: Books, auctions: Mapping[str, AuctionLog]) -> list[str]:
    """All accounts have in sum what they had, nobody has promised more than they have, and winners have paid."""
    accounts = database.holds.books.accounts
    found = []
    if (total := sum(one.posted for one in accounts.values())) != sum(books.funds.values()):
        found.append(f"money: {total} in all, not {sum(books.funds.values())}")
    paid: dict[int, int] = {}
    for log in auctions.values():
        for event in log.events.values():
            if isinstance(event, Settled):
                paid[event.winner] = paid.get(event.winner, 0) + event.price
    traders = set(books.before.owners.values())
    for user, account in accounts.items():
        if user and account.available < 0:
            found.append(f"money: {user} has {account.available} available")
        if user in books.funds and user not in traders and user != 1:
            by_log = books.funds[user] - paid.get(user, 0)
            if account.posted != by_log:
                found.append(f"money: {user} has {account.posted}, by the logs {by_log}")
    return found
