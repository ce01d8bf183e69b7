"""Makes signed transactions of prepared jobs: packs bundles, sets the fee, signs with the keys that they need."""

import asyncio
from collections.abc import Sequence

import structlog

from actors.minting.chain_access import asking
from actors.minting.kinds.kind import Ready
from actors.minting.ports import WouldFail
from chain.bundle import joined
from chain.rpc.answers import RecentBlockhash
from chain.rpc.client import ChainRpc
from chain.rpc.errors import RequestRejected, TransactionRejected
from chain.signing import Signer
from chain.transactions.building import Fee, SignedTransaction, build
from chain.transactions.packing import COMPUTE_UNITS_MAX, TooLarge, pack
from persistence.chain.rows import SignedRow

log = structlog.get_logger()

# Blockhashes are good for a minute; a fresh one leaves the most time to land.
BLOCKHASH_FOR_S = 2.0
FEE_FOR_S = 10.0
# More is never paid for a compute unit, in micro-lamports.
UNIT_PRICE_MAX = 200_000
# A simulation says what was used now; it may be a little more later.
UNITS_MARGIN = 1.3


class TransactionAssembler:
    """``actors.minting.ports.Assembler``: with one fee payer, and the keys of the platform."""

    def __init__(self, rpc: ChainRpc, payer: Signer, platform: Sequence[Signer]) -> None:
        self._rpc = rpc
        self._payer = payer
        self._platform = tuple(platform)
        self._blockhash: tuple[float, RecentBlockhash] | None = None
        self._unit_price: tuple[float, int] | None = None
        self._version: int | None = None

    def pack(self, jobs: Sequence[Ready]) -> list[list[Ready]]:
        """Jobs with an equal ``batch_max`` stand together, so that halves of a failed batch are not spread."""
        version = 1 if self._version is None else self._version
        units = [unit for one in self._units(jobs) for unit in self._fitting(one, version)]
        ordered = sorted(units, key=lambda unit: (unit[0].fills_gaps, -_room(unit), unit[0].job.id))
        places = pack(
            self._payer.address, [joined([one.bundle for one in unit]) for unit in ordered], list(map(_room, ordered)),
            version, sum(not unit[0].fills_gaps for unit in ordered),
        )  # fmt: skip
        return [[one for place in batch for one in ordered[place]] for batch in places]

    @staticmethod
    def _units(jobs: Sequence[Ready]) -> list[list[Ready]]:
        """Jobs that belong together, and all others alone."""
        units: dict[tuple[int, int | None], list[Ready]] = {}
        for one in jobs:
            units.setdefault((0 if one.together else one.job.id, one.together), []).append(one)
        return list(units.values())

    def _fitting(self, unit: list[Ready], version: int) -> list[list[Ready]]:
        """The unit, or each job of it alone: where it is too large, or was in a transaction that failed."""
        if len(unit) == 1:
            return [unit]
        try:
            if _room(unit) < 1:
                raise TooLarge
            pack(self._payer.address, [joined([one.bundle for one in unit])], [1], version)
        except TooLarge:
            return [[one] for one in unit]
        return [unit]

    async def sign(self, batch: Sequence[Ready], *, simulate: bool) -> SignedRow:
        """May raise ChainFault, WouldFail, SignerUnavailable and SignerRefused."""
        units = min(COMPUTE_UNITS_MAX, sum(one.bundle.compute_units for one in batch))
        price = await self._price()
        signed = await self._built(batch, Fee(units, price))
        if simulate:
            used = await self._simulated(signed)
            signed = await self._built(batch, Fee(min(COMPUTE_UNITS_MAX, round(used * UNITS_MARGIN)), price))
        return SignedRow(
            str(signed.signature), signed.raw, str(self._payer.address), signed.last_valid_height,
            tuple(one.job.id for one in batch),
        )  # fmt: skip

    async def _built(self, batch: Sequence[Ready], fee: Fee) -> SignedTransaction:
        signers = [*self._platform, *(signer for one in batch for signer in one.signers)]
        bundles = [one.bundle for one in batch]
        return await build(self._payer, signers, bundles, await self._recent(), fee, await self.version())

    async def _simulated(self, signed: SignedTransaction) -> int:
        async with asking():
            found = await self._rpc.simulate(signed.raw)
        if found.error is not None:
            raise WouldFail(f"{found.error}{_last_words(found.logs)}")
        return found.units

    async def version(self) -> int:
        """The version of transactions that the chain takes, asked for once."""
        if self._version is None:
            probe = await build(self._payer, [], [], await self._recent(), Fee(1_000), 1)
            try:
                async with asking():
                    await self._probe(probe.raw)
            except _NotTaken:
                self._version = 0
                log.warning("transactions_of_version_0", reason="the chain does not take version 1")
            else:
                self._version = 1
        return self._version

    async def _probe(self, raw: bytes) -> None:
        try:
            await self._rpc.simulate(raw)
        except (RequestRejected, TransactionRejected) as rejected:
            raise _NotTaken from rejected

    async def _recent(self) -> RecentBlockhash:
        now = asyncio.get_running_loop().time()
        if self._blockhash is None or now - self._blockhash[0] > BLOCKHASH_FOR_S:
            async with asking():
                self._blockhash = (now, await self._rpc.latest_blockhash())
        return self._blockhash[1]

    async def _price(self) -> int:
        now = asyncio.get_running_loop().time()
        if self._unit_price is None or now - self._unit_price[0] > FEE_FOR_S:
            async with asking():
                found = await self._rpc.priority_fee([self._payer.address])
            self._unit_price = (now, min(found, UNIT_PRICE_MAX))
        return self._unit_price[1]


def _room(unit: Sequence[Ready]) -> int:
    """How many bundles, of which the unit is one, may be in a transaction with it."""
    return min(one.job.batch_max for one in unit) - len(unit) + 1


class _NotTaken(Exception):
    """The chain does not take transactions of version 1."""


def _last_words(logs: Sequence[str]) -> str:
    """What a program said last about a failure."""
    lines = [line for line in logs if "rror" in line or "failed" in line]
    return f" ({lines[0][:200]})" if lines else ""
