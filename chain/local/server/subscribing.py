"""The methods of one socket: subscribe and unsubscribe."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.local.errors import INVALID_PARAMS, RpcError
from chain.local.ledger.blocks import Commitment
from chain.local.methods.accounts import tests_of
from chain.local.methods.configs import AccountConfig, Config, ProgramConfig
from chain.local.methods.registry import rpc
from chain.local.server.outbox import Outbox
from chain.local.server.subscriptions import SUBSCRIPTIONS_MAX, Subscription, Subscriptions


class Mentions(msgspec.Struct, frozen=True):
    mentions: list[Pubkey]


class SocketMethods:
    """Made for one connection, and closed with it."""

    def __init__(self, subscriptions: Subscriptions, outbox: Outbox) -> None:
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._own: set[int] = set()
        self._after_answer: list[Callable[[], None]] = []

    def close(self) -> None:
        """End all subscriptions of this socket."""
        for number in self._own:
            self._subscriptions.remove(number)

    def answered(self) -> None:
        """The answer is in the outbox: what waited for that follows it."""
        waiting, self._after_answer = self._after_answer, []
        for call in waiting:
            call()

    @rpc("accountSubscribe")
    def account_subscribe(self, address: Pubkey, config: AccountConfig | None = None) -> object:
        return self._subscribe("account", _commitment(config), address, config or AccountConfig())

    @rpc("programSubscribe")
    def program_subscribe(self, program: Pubkey, config: ProgramConfig | None = None) -> object:
        read = config or ProgramConfig()
        tests = tests_of(read.filters or ())
        return self._subscribe("program", _commitment(config), program, read, tests)

    @rpc("logsSubscribe")
    def logs_subscribe(self, which: Literal["all", "allWithVotes"] | Mentions, config: Config | None = None) -> object:
        if isinstance(which, Mentions) and len(which.mentions) != 1:
            raise RpcError(INVALID_PARAMS, "Invalid Request: Only 1 address supported")
        key = which.mentions[0] if isinstance(which, Mentions) else None
        return self._subscribe("logs", _commitment(config), key)

    @rpc("signatureSubscribe")
    def signature_subscribe(self, signature: Signature, config: Config | None = None) -> object:
        number = self._subscribe("signature", _commitment(config), signature)
        self._after_answer.append(lambda: self._subscriptions.look_at_signature(number))
        return number

    @rpc("slotSubscribe")
    def slot_subscribe(self) -> object:
        return self._subscribe("slot", "processed")

    @rpc("rootSubscribe")
    def root_subscribe(self) -> object:
        return self._subscribe("root", "finalized")

    @rpc("accountUnsubscribe")
    def account_unsubscribe(self, number: int) -> object:
        return self._unsubscribe(number)

    @rpc("programUnsubscribe")
    def program_unsubscribe(self, number: int) -> object:
        return self._unsubscribe(number)

    @rpc("logsUnsubscribe")
    def logs_unsubscribe(self, number: int) -> object:
        return self._unsubscribe(number)

    @rpc("signatureUnsubscribe")
    def signature_unsubscribe(self, number: int) -> object:
        return self._unsubscribe(number)

    @rpc("slotUnsubscribe")
    def slot_unsubscribe(self, number: int) -> object:
        return self._unsubscribe(number)

    @rpc("rootUnsubscribe")
    def root_unsubscribe(self, number: int) -> object:
        return self._unsubscribe(number)

    def _subscribe(
        self,
        kind: str,
        commitment: Commitment,
        key: Pubkey | Signature | None = None,
        config: AccountConfig | None = None,
        tests: Any = (),
    ) -> int:
        if len(self._own) >= SUBSCRIPTIONS_MAX:
            self._own = {number for number in self._own if self._subscriptions.has(number)}
        if len(self._own) >= SUBSCRIPTIONS_MAX:
            raise RpcError(INVALID_PARAMS, f"Too many subscriptions; max {SUBSCRIPTIONS_MAX} on a connection")
        number = self._subscriptions.add(
            lambda number: Subscription(number, kind, self._outbox, commitment, key, config or AccountConfig(), tests)
        )
        self._own.add(number)
        return number

    def _unsubscribe(self, number: int) -> bool:
        if number not in self._own or not self._subscriptions.remove(number):
            raise RpcError(INVALID_PARAMS, "Invalid subscription id.")
        self._own.discard(number)
        return True


def _commitment(config: Config | None) -> Commitment:
    return "finalized" if config is None else config.commitment
