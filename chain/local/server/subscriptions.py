"""Who is told of what: subscriptions to accounts, programs, logs, signatures, slots and roots, by commitment."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.local.errors import ErrorJson
from chain.local.ledger.blocks import Commitment
from chain.local.ledger.landed import Landed
from chain.local.methods.accounts import Test, passes
from chain.local.methods.configs import AccountConfig, with_context
from chain.local.methods.encoding import account_json
from chain.local.node import Node
from chain.local.server.outbox import Outbox
from chain.local.slots import FINALIZED_AFTER_SLOTS

LADDER: Sequence[Commitment] = ("processed", "confirmed", "finalized")
NOTICES_SLOTS_MAX = 8 * FINALIZED_AFTER_SLOTS
# Of one connection.
SUBSCRIPTIONS_MAX = 1_000
NO_CONFIG = AccountConfig()


@dataclass(frozen=True, slots=True)
class Subscription:
    """`key` is the account, program or signature; None for all."""

    number: int
    kind: str
    outbox: Outbox
    commitment: Commitment = "finalized"
    key: Pubkey | Signature | None = None
    config: AccountConfig = NO_CONFIG
    tests: Sequence[Test] = ()


@dataclass(slots=True)
class SlotNotices:
    """What happened in a slot that is not finalized."""

    landed: list[tuple[Signature, ErrorJson | None, Any, frozenset[Pubkey]]] = field(default_factory=list)
    changed: dict[Pubkey, None] = field(default_factory=dict)


class Subscriptions:
    """All subscriptions of the node. It is the listener of the node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._numbers = count(1)
        self._all: dict[int, Subscription] = {}
        self._keyed: dict[tuple[str, Pubkey | Signature], dict[int, Subscription]] = {}
        self._logs: dict[int, Subscription] = {}
        self._slots: dict[int, Subscription] = {}
        self._notices: OrderedDict[int, SlotNotices] = OrderedDict()
        self._reached = {commitment: node.blocks.slot_at(commitment) for commitment in LADDER}

    def add(self, make: Callable[[int], Subscription]) -> int:
        """A new subscription, with the number that it gets."""
        one = make(next(self._numbers))
        self._all[one.number] = one
        self._place(one)[one.number] = one
        return one.number

    def has(self, number: int) -> bool:
        return number in self._all

    def remove(self, number: int) -> bool:
        """False if there is none of this number."""
        one = self._all.pop(number, None)
        if one is None:
            return False
        self._place(one).pop(number, None)
        if one.key is not None and one.kind != "logs" and not self._keyed.get((one.kind, one.key)):
            self._keyed.pop((one.kind, one.key), None)
        return True

    def look_at_signature(self, number: int) -> None:
        """Notify of a signature that has landed before its subscription came."""
        one = self._all.get(number)
        if one is None or not isinstance(one.key, Signature):
            return
        status = self._node.status(one.key, search_history=True)
        if status is not None and status.slot <= self._node.blocks.slot_at(one.commitment):
            self._signature(one, status.slot, status.error)

    # What the node calls

    def on_landed(self, landed: Landed) -> None:
        notices = self._notices.setdefault(landed.slot, SlotNotices())
        # Logs are large: they are kept until finality only if somebody waits for some.
        one = (landed.signature, landed.error, landed.metadata if self._logs else None, frozenset(landed.keys))
        changed = [change.address for change in landed.changes]
        notices.landed.append(one)
        notices.changed.update(dict.fromkeys(changed))
        if self._all:
            self._notify("processed", landed.slot, SlotNotices([one], dict.fromkeys(changed)))

    def on_slot(self) -> None:
        slot = self._node.blocks.slot
        root = self._node.blocks.slot_at("finalized")
        for one in list(self._slots.values()):
            if one.kind == "slot":
                _send(one, {"slot": slot, "parent": slot - 1, "root": root})
        self._climb("confirmed")
        for reached in self._climb("finalized"):
            self._notices.pop(reached, None)
            for one in list(self._slots.values()):
                if one.kind == "root":
                    _send(one, reached)
        while len(self._notices) > NOTICES_SLOTS_MAX:
            self._notices.popitem(last=False)

    def on_rolled_back(self, slot: int) -> None:
        for later in [one for one in self._notices if one > slot]:
            del self._notices[later]

    # Notifications

    def _climb(self, commitment: Commitment) -> Iterator[int]:
        """Every slot that has reached a commitment since the last look, after its notifications."""
        reached, now = self._reached[commitment], self._node.blocks.slot_at(commitment)
        self._reached[commitment] = max(reached, now)
        slots = range(reached + 1, now + 1)
        for slot in slots:
            notices = self._notices.get(slot)
            if notices is not None and self._all:
                self._notify(commitment, slot, notices)
        return iter(slots)

    def _notify(self, commitment: Commitment, slot: int, notices: SlotNotices) -> None:
        for signature, error, metadata, keys in notices.landed:
            for one in list(self._keyed.get(("signature", signature), {}).values()):
                if one.commitment == commitment:
                    self._signature(one, slot, error)
            for one in list(self._logs.values()):
                if metadata is not None and one.commitment == commitment and (one.key is None or one.key in keys):
                    logs = {"signature": str(signature), "err": error, "logs": metadata.logs()}
                    _send(one, with_context(slot, logs))
        programs = any(one.kind == "program" and one.commitment == commitment for one in self._all.values())
        for address in notices.changed:
            self._account(commitment, slot, address, programs)

    def _account(self, commitment: Commitment, slot: int, address: Pubkey, programs: bool) -> None:
        watched = [one for one in self._keyed.get(("account", address), {}).values() if one.commitment == commitment]
        if not watched and not programs:
            return
        account = self._node.bank.account(address, None if commitment == "processed" else slot)
        for one in watched:
            _send(one, with_context(slot, self._written(one, account or GONE)))
        if account is None:
            return
        for one in list(self._keyed.get(("program", account.owner), {}).values()):
            if one.commitment == commitment and passes(account.data, one.tests):
                content = {"pubkey": str(address), "account": self._written(one, account)}
                _send(one, with_context(slot, content))

    def _written(self, one: Subscription, account: Account) -> dict[str, Any]:
        return account_json(self._node.bank, account, one.config.encoding, one.config.data_slice)

    def _signature(self, one: Subscription, slot: int, error: ErrorJson | None) -> None:
        _send(one, with_context(slot, {"err": error}))
        self.remove(one.number)

    def _place(self, one: Subscription) -> dict[int, Subscription]:
        if one.kind == "logs":
            return self._logs
        if one.key is None:
            return self._slots
        return self._keyed.setdefault((one.kind, one.key), {})


GONE = Account.default()


def _send(one: Subscription, result: object) -> None:
    params = {"result": result, "subscription": one.number}
    one.outbox.put({"jsonrpc": "2.0", "method": f"{one.kind}Notification", "params": params})
