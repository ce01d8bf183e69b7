"""Checks and sends the commands of users about trades.

A check can refuse a command that was accepted before, such as an offer whose copies have moved since. So a command
whose check fails is looked up by its key: a retry gets the answer of the first attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from actors.stream.messages import Answer, GetState, Open, Refused, Request, StateAnswer, command
from domain.errors import INVALID_TERMS, NOT_FOUND, QUOTA_EXCEEDED
from domain.log.codec import encode
from domain.trade.commands import (
    Accept,
    Appeal,
    Confirm,
    Counter,
    Decline,
    Dispute,
    Edit,
    Judge,
    Respond,
    Reverse,
    SendMessage,
)
from domain.trade.terms import CONDITIONS_MAX, EXPIRY_MAX_MS, Leg, Party, Terms, legs_fault, terms_fault
from gateway.http.idempotency import InvalidRequest, Once, Posted, once
from gateway.http.problems import Problem, refusal_problem
from gateway.identity.second_factor import SecondFactorCheck, SecondFactorError
from gateway.identity.tokens import Identity
from gateway.trades.checks import (
    NO_TRADE,
    check_copies,
    check_named,
    check_parties,
    copies_in,
    decode_state,
    may_see,
    state_json,
    text_of,
)
from gateway.trades.conditions import TradeConditions
from gateway.wire.faults import RequestFailed
from persistence.postgres.idempotency import Begun, IdempotencyKeys
from persistence.trades.checks import TradeChecks

KIND = "trade"
EXPIRES_AFTER_MS = 7 * 24 * 3_600_000

UserCommand = Counter | Accept | Confirm | Decline | SendMessage | Edit | Dispute | Respond | Judge | Appeal | Reverse


class Hosts(Protocol):
    """The router."""

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer: ...


@dataclass(frozen=True)
class Proposed:
    """An offer, or a counter-offer. ``expires_in_ms``: None for the default, or to leave it as it is."""

    legs: tuple[Leg, ...]
    message: str = ""
    expires_in_ms: int | None = None

    @property
    def users(self) -> list[int]:
        """All who give or get something, in the order of the legs."""
        return list(dict.fromkeys(user for leg in self.legs for user in (leg.giver, leg.receiver)))


class TradeCommands:
    """Each method may raise RequestFailed, Problem, SecondFactorError, TooManyAttempts and StoreError."""

    def __init__(
        self, hosts: Hosts, keys: IdempotencyKeys, checks: TradeChecks, second_factor: SecondFactorCheck,
        now_ms: Callable[[], int], terms: TradeConditions | None = None,
    ) -> None:  # fmt: skip
        self._hosts = hosts
        self._keys = keys
        self._checks = checks
        self._second_factor = second_factor
        self._now_ms = now_ms
        self._terms = terms or TradeConditions()

    @property
    def fee_bp(self) -> int:
        """The house's share of the money in a trade that is offered now, in basis points."""
        return self._terms.fee_bp

    # -- offers

    async def offer(self, caller: Identity, key: str, offer: Proposed) -> Once:
        """Open a trade; the answer is its state. The same key gives the same trade, once."""

        async def work(begun: Begun) -> tuple[int, bytes]:
            try:
                answer = await self._open(caller, begun, offer)
            except InvalidRequest:
                raise
            except (Problem, RequestFailed):
                # A check, or other terms, refuse what an attempt before this one has opened.
                answer = await self._hosts.ask(GetState(begun.created_id, KIND))
                if isinstance(answer, Refused) and answer.code == NOT_FOUND:
                    raise
                if isinstance(answer, Refused):
                    # Whether that attempt has opened it is unknown: the refusal could be wrong, and would be stored.
                    raise refusal_problem(answer) from None
            return 201, msgspec.json.encode(state_json(answer))

        request = msgspec.json.encode((offer.legs, offer.message, offer.expires_in_ms)).decode()
        return await once(self._keys, Posted(caller, key, f"trade {request}"), self._now_ms(), work)

    async def _open(self, caller: Identity, begun: Begun, offer: Proposed) -> Answer:
        """Raises RequestFailed and Problem where nothing was opened by this call."""
        users = list(dict.fromkeys([caller.user_id, *offer.users]))
        expires_at = begun.received_at + self._expires_in_ms(offer.expires_in_ms or EXPIRES_AFTER_MS)
        terms = Terms(
            begun.created_id, caller.user_id, tuple(Party(user, "") for user in users), offer.legs, expires_at,
            text_of(offer.message, mask=self._terms.mask_contacts), fee_bp=self._terms.fee_bp,
        )  # fmt: skip
        fault = terms_fault(terms)
        if fault is not None:
            raise InvalidRequest(INVALID_TERMS, fault)
        limit = self._terms.open_offers_max
        facts = await self._checks.facts(users, copies_in(offer.legs), caller.user_id, limit)
        check_parties(facts, caller.user_id, users)
        check_copies(facts, offer.legs)
        if facts.open_offers >= limit:
            raise RequestFailed(QUOTA_EXCEEDED, quota="open_offers", limit=limit)
        parties = tuple(Party(one.user, one.name) for user in users if (one := facts.user(user)) is not None)
        own = facts.user(caller.user_id)
        terms = msgspec.structs.replace(terms, parties=parties, cool_down_ms=0 if own is None else own.cool_down_ms)
        answer = await self._hosts.ask(Open(terms.trade, KIND, msgspec.Raw(encode(terms))))
        if isinstance(answer, Refused):
            raise refusal_problem(answer)
        return answer

    async def counter(self, caller: Identity, key: str, trade: int, version: int, offer: Proposed) -> Answer:
        """Replace the offer of this version."""
        users, expires_at = offer.users, None
        fault = legs_fault(offer.legs, users)
        if fault is not None:
            raise RequestFailed(INVALID_TERMS, fault)
        if offer.expires_in_ms is not None:
            expires_at = self._now_ms() + self._expires_in_ms(offer.expires_in_ms)
        message = text_of(offer.message, mask=self._terms.mask_contacts)
        facts = await self._checks.facts([caller.user_id, *users], copies_in(offer.legs))

        def check() -> None:
            check_parties(facts, caller.user_id, users, first=False)
            check_copies(facts, offer.legs)

        await self._checked(caller, key, trade, check)
        own = facts.user(caller.user_id)
        cool_down_ms = 0 if own is None else own.cool_down_ms
        return await self.send(
            caller, trade, Counter(caller.user_id, key, version, offer.legs, message, expires_at, cool_down_ms)
        )

    # -- agreement

    async def accept(self, caller: Identity, key: str, trade: int, hash_: str, copies: tuple[int, ...] = ()) -> Answer:
        """Accept the offer with this hash; ``copies`` are one for each of the caller's conditions."""
        if len(copies) > CONDITIONS_MAX:
            raise RequestFailed(INVALID_TERMS, f"a trade has at most {CONDITIONS_MAX} conditions")
        if copies:
            offer = await self.state(caller, trade)
            facts = await self._checks.facts([], copies)
            await self._checked(caller, key, trade, lambda: check_named(facts, caller.user_id, offer, hash_, copies))
        cool_down_ms = await self._checks.cool_down_ms(caller.user_id)
        return await self.send(caller, trade, Accept(caller.user_id, key, hash_, copies, cool_down_ms))

    async def confirm(self, caller: Identity, key: str, trade: int, hash_: str, code: str | None) -> Answer:
        """Confirm the agreement with this hash. ``code``: of the second factor, where the caller has one."""
        try:
            await self._second_factor.check_fresh(caller, code, self._now_ms())
        except SecondFactorError:
            # A retry has used its code up.
            if not await self._checks.is_known(trade, caller.user_id, key):
                raise
        return await self.send(caller, trade, Confirm(caller.user_id, key, hash_))

    # -- all others

    async def message(self, caller: Identity, key: str, trade: int, text: str) -> Answer:
        """Send a message to all parties. Contact data are masked before they are logged."""
        text = text_of(text, mask=self._terms.mask_contacts)
        return await self.send(caller, trade, SendMessage(caller.user_id, key, text))

    async def send(self, caller: Identity, trade: int, order: UserCommand) -> Answer:
        """Send a command that needs no more look-ups."""
        return await self._hosts.ask(command(trade, KIND, order, (caller.user_id, order.key)))

    async def state(self, caller: Identity, trade: int, *, moderator: bool = False) -> StateAnswer:
        """The state of a trade, for its parties; for a ``moderator`` where there is a dispute. Raises RequestFailed."""
        answer = await self._hosts.ask(GetState(trade, KIND))
        if isinstance(answer, Refused):
            raise refusal_problem(answer)
        assert isinstance(answer, StateAnswer), "a state was asked for"
        if not may_see(decode_state(answer.state), caller, moderator=moderator):
            raise RequestFailed(NOT_FOUND, NO_TRADE)
        return answer

    async def _checked(self, caller: Identity, key: str, trade: int, check: Callable[[], None]) -> None:
        try:
            check()
        except RequestFailed:
            if not await self._checks.is_known(trade, caller.user_id, key):
                raise

    def _expires_in_ms(self, wanted: int) -> int:
        if not self._terms.expiry_min_ms <= wanted <= EXPIRY_MAX_MS:
            raise InvalidRequest(
                INVALID_TERMS, f"an offer is open for {self._terms.expiry_min_ms:,} to {EXPIRY_MAX_MS:,} ms"
            )
        return wanted
