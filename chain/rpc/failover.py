"""Which endpoint a call goes to: health, fail-over, rate limits, and no answer that contradicts what is known."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from solders.hash import Hash

from chain.rpc.addresses import EndpointAddress
from chain.rpc.answers import Commitment
from chain.rpc.endpoint import Endpoint, EndpointStatus
from chain.rpc.errors import (
    ChainError,
    ChainUnavailable,
    ForeignChain,
    InvalidAnswer,
    MethodUnsupported,
    OutcomeUnknown,
    RequestRejected,
    TransactionRejected,
)
from chain.rpc.limits import RpcLimits
from chain.rpc.seen import Seen
from chain.rpc.transport import Transport

log = structlog.get_logger()

Answer = TypeVar("Answer")
Result = TypeVar("Result")

# A read is tried so often with each endpoint, with a pause between.
ROUNDS_MAX = 2
PAUSE_S = 0.1
# At the start, so long for each endpoint to say which chain it belongs to.
CHOOSING_S = 3.0
# Calls that do something and are not made again after a lost answer.
NOT_REPEATED = ("requestAirdrop", "ece_airdropUsdc")

# Takes the genesis of the first endpoint that says it, and returns the one that counts. May raise ChainUnavailable.
Pin = Callable[[str], Awaitable[str]]


class Endpoints:
    """All endpoints of one chain. ``genesis``: of which chain; if None, ``pin`` decides, or the first endpoint."""

    def __init__(
        self, addresses: Sequence[EndpointAddress], limits: RpcLimits, genesis: str | None = None,
        pin: Pin | None = None,
    ) -> None:  # fmt: skip
        self.genesis = genesis
        self._pin = pin
        self.seen = Seen()
        self._addresses = addresses
        self._limits = limits
        self._transport = Transport()
        self._all: list[Endpoint] = []
        self._choosing = asyncio.Lock()
        self._waiting = 0
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the connections; with several endpoints, compare them from now on."""
        now = asyncio.get_running_loop().time()
        self._transport.open()
        self._all = [Endpoint(address, self._limits, now) for address in self._addresses]
        if len(self._all) > 1:
            self._probing = asyncio.create_task(self._probe_for_ever(), name="rpc-endpoints")

    async def stop(self) -> None:
        """Close all connections."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self._transport.close()

    def statuses(self) -> list[EndpointStatus]:
        """How the endpoints stand, in the order of the configuration."""
        now = asyncio.get_running_loop().time()
        return [one.status(now) for one in self._all]

    async def call(
        self, method: str, params: list[Any], kind: type[Answer], read: Callable[[Answer], Result]
    ) -> Result:
        """Ask one endpoint after the other. ``read`` raises ValueError or ChainError for an answer that is wrong."""
        if self._waiting >= self._limits.waiting_max:
            raise ChainUnavailable(f"{method}: too many calls at once")
        self._waiting += 1
        try:
            return await self._call(method, params, kind, read)
        finally:
            self._waiting -= 1

    async def _call(
        self, method: str, params: list[Any], kind: type[Answer], read: Callable[[Answer], Result]
    ) -> Result:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.call_s
        last: ChainError | None = None
        for round_number in range(1 if method in NOT_REPEATED else ROUNDS_MAX):
            if round_number:
                await asyncio.sleep(min(PAUSE_S * (0.5 + random.random()), max(0.0, deadline - loop.time())))
            for endpoint in self._in_turn():
                left = deadline - loop.time()
                if left <= 0:
                    break
                try:
                    return await self._attempt(endpoint, method, params, kind, read, left)
                except TransactionRejected:
                    raise
                except ChainError as error:
                    last = _worse(last, error)
                    if method in NOT_REPEATED and not isinstance(error, MethodUnsupported):
                        raise last from None
            if isinstance(last, RequestRejected):
                break
        raise last or self._unusable(method)

    async def _attempt(
        self, endpoint: Endpoint, method: str, params: list[Any], kind: type[Answer],
        read: Callable[[Answer], Result], left_s: float, *, probing: bool = False,
    ) -> Result:  # fmt: skip
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(left_s):
                await self._identified(endpoint)
                result = read(await self._asked(endpoint, method, params, kind))
            endpoint.succeeded(recovered=not probing)
            return result
        except RequestRejected as error:
            if isinstance(error, MethodUnsupported):
                endpoint.last_error = str(error)
            raise
        except TransactionRejected:
            raise
        except ChainError as error:
            endpoint.failed(error, loop.time())
            raise
        except TimeoutError:
            late = ChainUnavailable(f"{method}: not in time")
            endpoint.failed(late, loop.time())
            raise (OutcomeUnknown(str(late)) if method == "sendTransaction" else late) from None
        except ValueError as error:
            invalid = InvalidAnswer(f"{method}: {str(error)[:200]}")
            endpoint.failed(invalid, loop.time())
            raise invalid from None

    async def _asked(self, endpoint: Endpoint, method: str, params: list[Any], kind: type[Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        async with endpoint.places:
            wait = endpoint.bucket.take(loop.time())
            if wait:
                try:
                    await asyncio.sleep(wait)
                except asyncio.CancelledError:
                    endpoint.bucket.give_back()
                    raise
            endpoint.calls += 1
            began = loop.time()
            answer = await self._transport.ask(endpoint.address.url, method, params, kind, self._limits.request_s)
            endpoint.took(loop.time() - began)
            return answer

    async def _identified(self, endpoint: Endpoint) -> None:
        """Raises ForeignChain unless the endpoint belongs to this chain."""
        if self.genesis is None:
            async with self._choosing:
                await self._choose_chain()
        async with endpoint.identifying:
            if endpoint.genesis is None:
                endpoint.genesis = await self._asked(endpoint, "getGenesisHash", [], str)
        if self.genesis is None:
            self.genesis = await self._agreed(endpoint.genesis)
        if endpoint.genesis != self.genesis:
            found, endpoint.genesis = endpoint.genesis, None
            log.error(
                "endpoint_of_another_chain",
                endpoint=endpoint.address.name,
                genesis=str(found)[:64],
                expected=self.genesis,
            )
            raise ForeignChain(
                f"{endpoint.address.name} belongs to another chain: "
                f"its genesis is {str(found)[:64]}, and not {self.genesis}"
            )

    async def _choose_chain(self) -> None:
        """The chain is that of the first endpoint in the configuration that says which."""
        for endpoint in self._all:
            if self.genesis is not None:
                return
            with suppress(ChainError, TimeoutError):
                async with asyncio.timeout(CHOOSING_S):
                    endpoint.genesis = await self._asked(endpoint, "getGenesisHash", [], str)
                self.genesis = await self._agreed(endpoint.genesis)

    async def _agreed(self, genesis: str) -> str:
        if self._pin is None:
            return genesis
        try:
            Hash.from_string(genesis)
        except ValueError:
            raise InvalidAnswer(f"getGenesisHash: {genesis[:64]!r} is no hash") from None
        return await self._pin(genesis)

    def _in_turn(self) -> list[Endpoint]:
        """Those that may be asked now, the best first."""
        now = asyncio.get_running_loop().time()
        return sorted((one for one in self._all if not one.closed_for_s(now)), key=lambda one: one.rank(now))

    def _unusable(self, method: str) -> ChainUnavailable:
        reasons = "; ".join(one.last_error or "unknown" for one in self._all[:4])
        return ChainUnavailable(f"{method}: no endpoint can be asked now ({reasons})")

    # Comparing

    async def probe(self) -> list[EndpointStatus]:
        """Ask every endpoint for its slot now, and compare them. Raises nothing."""
        now = asyncio.get_running_loop().time()
        asked = [one for one in self._all if not one.closed_for_s(now)]
        slots = await asyncio.gather(*(self._slot_of(one) for one in asked))
        best = max((slot for slot in slots if slot is not None), default=None)
        for endpoint, slot in zip(asked, slots, strict=True):
            endpoint.slot = slot
            lag = None if slot is None or best is None else best - slot
            if (lag or 0) > self._limits.lag_slots_max >= (endpoint.lag or 0):
                log.warning("endpoint_lags", endpoint=endpoint.address.name, slots=lag)
            endpoint.lag = lag
        return self.statuses()

    async def _slot_of(self, endpoint: Endpoint) -> int | None:
        now = asyncio.get_running_loop().time

        def read(slot: int) -> int:
            self.seen.check_future("processed", slot, now())
            return slot

        with suppress(ChainError):
            slot = await self._attempt(
                endpoint, "getSlot", [{"commitment": "processed"}], int, read, self._limits.request_s, probing=True
            )
            self.seen.note("processed", slot, now())
            return slot
        return None

    async def _probe_for_ever(self) -> None:
        while True:
            await self.probe()
            await asyncio.sleep(self._limits.probe_s * (0.9 + 0.2 * random.random()))

    def observed(self, commitment: Commitment, slot: int, least: int | None = None) -> None:
        """An answer is as of this slot. Raises NodeBehind, InvalidAnswer."""
        self.seen.check(commitment, slot, asyncio.get_running_loop().time(), least)


def _worse(before: ChainError | None, error: ChainError) -> ChainError:
    """Of several errors the one to tell: whatever happened later, a transaction may have been handed over."""
    return before if isinstance(before, OutcomeUnknown) else error
