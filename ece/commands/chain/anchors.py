"""The part of `ece verify` about anchors: what the chain says of them, and how they are shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from rich.console import Console

from chain.programs.memo import FinalMemos, final_memos
from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainError
from domain.log.anchors import InvalidMemo, parse_memo
from domain.log.chain import Finding
from domain.log.verification import Verdict
from ece.data_dir import DataDir
from ece.failure import Failure
from ece.settings import Settings
from persistence.log.anchors import Anchored

ANCHOR = "anchor"


class AnchorReport(msgspec.Struct, frozen=True):
    """An anchor, and what the chain says. ``on_chain``: the memo is there; None: the chain was not asked."""

    anchored: Anchored
    on_chain: bool | None = None
    fault: str | None = None


class AnchorChecks:
    """Compares anchors with the chain, each once. ``rpc`` is None where the chain is not to be asked."""

    def __init__(self, rpc: ChainRpc | None, *, required: bool) -> None:
        """``required``: an endpoint that does not answer, or has forgotten the transaction, is no excuse."""
        self._rpc = rpc
        self._required = required
        self._known: dict[int, AnchorReport] = {}

    async def report(self, anchored: Anchored) -> AnchorReport:
        """What the chain says of this anchor. Raises Failure if it does not answer and is required."""
        known = self._known.get(anchored.anchor)
        if known is None:
            known = self._known[anchored.anchor] = await self._asked(anchored)
        return msgspec.structs.replace(known, anchored=anchored)

    async def _asked(self, anchored: Anchored) -> AnchorReport:
        fault = _memo_fault(anchored)
        if fault is not None or self._rpc is None or anchored.signature is None:
            return AnchorReport(anchored, None, fault)
        try:
            found = await final_memos(self._rpc, anchored.signature)
        except ChainError as error:
            if self._required:
                raise Failure(f"The chain can't be read: {error}") from error
            return AnchorReport(anchored)
        if found is None and not self._required:
            # An endpoint forgets old transactions.
            return AnchorReport(anchored)
        fault = _chain_fault(found, anchored)
        return AnchorReport(anchored, fault is None, fault)


def _memo_fault(anchored: Anchored) -> str | None:
    try:
        memo = parse_memo(anchored.memo)
    except InvalidMemo:
        return "its memo can't be read"
    claim = anchored.claim
    return None if (memo.root, memo.leaves) == (claim.root, claim.leaves) else "its memo has another root"


def _chain_fault(found: FinalMemos | None, anchored: Anchored) -> str | None:
    if found is None:
        return f"the chain has no final transaction {anchored.signature}"
    if found.slot != anchored.slot:
        return f"its transaction is in slot {found.slot}, not {anchored.slot}"
    if not any(one.text == anchored.memo and anchored.signer in one.signers for one in found.memos):
        return f"no memo of {anchored.signer} in the transaction {anchored.signature} has its root"
    return None


def with_anchor(verdict: Verdict, report: AnchorReport | None) -> Verdict:
    """The verdict with a finding if the anchor is at fault."""
    if report is None or report.fault is None:
        return verdict
    seq = report.anchored.claim.seq
    finding = Finding(seq, ANCHOR, f"the anchor of row {seq}: {report.fault}")
    return msgspec.structs.replace(verdict, found=verdict.found + 1, findings=(*verdict.findings, finding))


@asynccontextmanager
async def anchor_checks(settings: Settings, chain: bool | None) -> AsyncIterator[AnchorChecks]:
    """``chain``: True: the chain has to be asked; False: not; None: where there is one. Raises Failure."""
    data_dir = DataDir(settings.data_dir)
    state = data_dir.read_state() if data_dir.is_locked() else None
    urls = [] if chain is False else settings.rpc_urls if state is None else state.rpc_urls
    if chain and not urls:
        raise Failure("There is no chain: start the engine, or set ECE_SOLANA_RPC_URL.")
    if not urls:
        yield AnchorChecks(None, required=False)
        return
    rpc = ChainRpc(urls)
    await rpc.start()
    try:
        yield AnchorChecks(rpc, required=bool(chain))
    finally:
        await rpc.stop()


def anchor_json(report: AnchorReport | None) -> dict[str, Any] | None:
    """For `--json`."""
    if report is None:
        return None
    anchored, claim = report.anchored, report.anchored.claim
    return {
        "row": claim.seq, "place": claim.place, "leaves": claim.leaves, "root": claim.root.hex(),
        "included": claim.included, "state": anchored.state, "signature": anchored.signature, "slot": anchored.slot,
        "signer": anchored.signer, "on_chain": report.on_chain,
    }  # fmt: skip


def print_anchor(out: Console, report: AnchorReport | None) -> None:
    """A few lines."""
    if report is None:
        out.print("  There is no anchor on the chain, or not yet.")
        return
    anchored, claim = report.anchored, report.anchored.claim
    proof = "is correct" if claim.included else "is wrong"
    out.print(
        f"  Anchor: row {claim.seq:,} is leaf {claim.place + 1:,} of {claim.leaves:,}; the inclusion proof {proof}."
    )
    out.print(f"    root         {claim.root.hex()}", soft_wrap=True)
    if anchored.signature is None:
        out.print("    The transaction is not final yet." if anchored.state == "pending" else "    It was not written.")
        return
    memo = {True: "has this root", False: "does not have this root", None: "was not read"}[report.on_chain]
    out.print(f"    transaction  {anchored.signature}", soft_wrap=True)
    out.print(f"    slot         {anchored.slot}; the memo on the chain {memo}", soft_wrap=True)
    out.print(f"    signed by    {anchored.signer}", soft_wrap=True)
