"""One batch of orders for ``ledger_execute``: encodes orders as arrays, decodes its codes as outcomes."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from domain.ledger import refusals
from domain.ledger.books import Recorded
from domain.ledger.orders import ACTIONS, Expire, Order, Pend, Post, Transfer, Void, fault_of
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Done, Outcome, same_order

_DONE = "done"
_EXISTS = "exists"


class _Sent(msgspec.Struct, frozen=True):
    """An order that is sent to the database: its index in the batch, and its record."""

    place: int
    order: Order
    recorded: Recorded


class LedgerBatch:
    """``pendings`` are the earlier pending transfers that the batch ends, by id."""

    def __init__(self, orders: Sequence[Order], pendings: Mapping[bytes, Recorded], now_ms: int) -> None:
        self.now_ms = now_ms
        self.sent: list[_Sent] = []
        self._orders = orders
        self._outcomes: dict[int, Outcome] = {}
        self._done: dict[bytes, Recorded] = {}
        self._done_at: dict[bytes, int] = {}
        # Known at once in this batch alone: a refused one may yet turn out to have none.
        self._begun: dict[bytes, Recorded] = {}
        self._pendings = pendings
        for place, order in enumerate(orders):
            self._add(place, order)

    def arguments(self) -> list[Any]:
        """The arrays of ``ledger_execute`` from ``accounts`` on."""
        recorded = [sent.recorded for sent in self.sent]
        accounts = sorted({r.debit for r in recorded} | {r.credit for r in recorded})
        account_places = {account: place for place, account in enumerate(accounts, 1)}
        ids = list(dict.fromkeys(id for r in recorded for id in (r.id, r.pending) if id is not None))
        id_places = {id: place for place, id in enumerate(ids, 1)}
        return [
            accounts,
            ids,
            [r.action for r in recorded],
            [id_places[r.id] for r in recorded],
            [None if r.pending is None else id_places[r.pending] for r in recorded],
            [account_places[r.debit] for r in recorded],
            [account_places[r.credit] for r in recorded],
            [r.amount for r in recorded],
            [r.kind for r in recorded],
            [r.about for r in recorded],
            [r.expires_at for r in recorded],
        ]

    def take(self, rows: Sequence[asyncpg.Record]) -> None:
        """The database's answers, (code, available, required) for each order that was sent."""
        for sent, (code, available, required) in zip(self.sent, rows, strict=True):
            if code == _DONE:
                self._done[sent.recorded.id] = sent.recorded
                self._done_at[sent.recorded.id] = sent.place
                self._outcomes[sent.place] = Done(sent.recorded)
            elif code != _EXISTS:
                self._outcomes[sent.place] = self._refusal(sent, code, available, required)
            elif sent.recorded.id in self._done:
                self._outcomes[sent.place] = self._known(sent.order, self._done[sent.recorded.id])

    def ids_to_look_up(self) -> list[bytes]:
        """Ids of orders that were recorded before, or may have been."""
        return [order.id for place, order in enumerate(self._orders) if self._unresolved(place)]

    def settle(self, known: Mapping[bytes, Recorded]) -> None:
        """``known``: the records under ``ids_to_look_up``; an order with the same record is a duplicate."""
        known = {**known, **self._done}
        for place, order in enumerate(self._orders):
            # What this very batch recorded was not there yet when an earlier order came.
            later = order.id in self._done and self._done_at[order.id] > place
            if order.id in known and self._unresolved(place) and not later:
                self._outcomes[place] = self._known(order, known[order.id])

    def outcomes(self) -> list[Outcome]:
        """One for each order; those of a set that was never sent are refused with it."""
        return [self._outcomes.get(place, Refusal(refusals.SET_REFUSED)) for place in range(len(self._orders))]

    def _unresolved(self, place: int) -> bool:
        return self._outcomes.get(place) in (None, Refusal(refusals.TRANSFER_NOT_FOUND))

    def _known(self, order: Order, recorded: Recorded) -> Outcome:
        pending = None if recorded.pending is None else self._pending(recorded.pending)
        same = (recorded.pending is None or pending is not None) and same_order(recorded, order, pending)
        return Done(recorded, duplicate=True) if same else Refusal(refusals.TRANSFER_ID_REUSED)

    def _add(self, place: int, order: Order) -> None:
        fault = fault_of(order)
        if fault is not None:
            self._outcomes[place] = Refusal(fault)
            return
        recorded = self._begin(order) if isinstance(order, (Transfer, Pend)) else self._end(order)
        if recorded is None:
            self._outcomes[place] = Refusal(refusals.TRANSFER_NOT_FOUND)
            return
        self.sent.append(_Sent(place, order, recorded))

    def _begin(self, order: Transfer | Pend) -> Recorded:
        expires_at = order.expires_at if isinstance(order, Pend) else None
        recorded = Recorded(
            order.id, ACTIONS[type(order)], None, order.debit, order.credit, order.amount, order.kind, order.about,
            self.now_ms, expires_at,
        )  # fmt: skip
        if isinstance(order, Pend):
            self._begun.setdefault(order.id, recorded)
        return recorded

    def _end(self, order: Post | Void | Expire) -> Recorded | None:
        pending = self._pending(order.pending)
        if pending is None:
            return None
        amount = order.amount if isinstance(order, Post) and order.amount is not None else pending.amount
        return Recorded(
            order.id, ACTIONS[type(order)], order.pending, pending.debit, pending.credit, amount, pending.kind,
            pending.about, self.now_ms,
        )  # fmt: skip

    def _pending(self, id: bytes) -> Recorded | None:
        recorded = self._pendings.get(id) or self._begun.get(id)
        return recorded if recorded is not None and recorded.action == ACTIONS[Pend] else None

    def _refusal(self, sent: _Sent, code: str, available: int | None, required: int | None) -> Refusal:
        pending = sent.recorded.pending
        if code == refusals.TRANSFER_NOT_PENDING and pending is not None and pending not in self._pendings:
            # The pending transfer is one of this batch; where that was refused there is none.
            return Refusal(code if pending in self._done else refusals.TRANSFER_NOT_FOUND)
        return Refusal(code, available, required)
