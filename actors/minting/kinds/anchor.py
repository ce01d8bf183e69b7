"""Writes anchors: memos of a few hundred bytes, which fit into what mints leave free in a transaction."""

from collections.abc import Callable, Sequence

import msgspec
from solders.pubkey import Pubkey

from actors.minting.kinds.kind import Connection, Kind, Prepared, Ready, Unfit
from chain.bundle import Bundle
from chain.programs.memo import BYTES_MAX, memo
from persistence.chain.rows import ChainJob, DoneJob, PoisonedJob
from persistence.log.anchors import ANCHOR, AnchorOrder, AnchorOutcome, anchors_failed, anchors_written

TRACE, UNITS = 1, 60_000


class WriteAnchors(Kind):
    """Payload: ``AnchorOrder``. The authority of the platform signs the memo."""

    kind = ANCHOR
    # More wait for the next claim.
    claim_max = 8

    def __init__(self, authority: Pubkey, now_ms: Callable[[], int]) -> None:
        self._authority = authority
        self._now_ms = now_ms

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        return [self._prepared(job) for job in jobs]

    def _prepared(self, job: ChainJob) -> Prepared:
        try:
            text = msgspec.json.decode(job.payload, type=AnchorOrder).memo.encode()
        except msgspec.MsgspecError as fault:
            return Unfit(job, f"the order can't be read: {fault}")
        if not 0 < len(text) <= BYTES_MAX:
            return Unfit(job, f"a memo has 1 to {BYTES_MAX} bytes")
        signers = frozenset([self._authority])
        return Ready(job, Bundle((memo(text, [self._authority]),), signers, TRACE, UNITS), fills_gaps=True)

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        written = [
            AnchorOutcome(one.job.key, one.signature, one.slot) for one in jobs if one.signature is not None
        ]  # fmt: skip
        await anchors_written(connection, written, str(self._authority), self._now_ms())

    async def poisoned(self, connection: Connection, jobs: Sequence[PoisonedJob]) -> None:
        await anchors_failed(connection, [(one.job.key, one.reason) for one in jobs])
