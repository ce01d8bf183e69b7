"""Output of a replay: a live view while it runs, a report at its end."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.percentiles import p50_p99
from bench.recordings.model import Dataset
from bench.recordings.replay import LiveAuction, Outcome, Progress, dollars, why_different

REFRESH_S = 0.25
PLAIN_LINE_S = 2.0
SPARK_SAMPLES = 40
SPARKS = "▁▂▃▄▅▆▇█"
HOT_AUCTIONS = 6
RECENT_ACKS = 4_000
DIFFERENCES_SHOWN = 12
BROKEN_SHOWN = 10


@asynccontextmanager
async def watching(progress: Progress, console: Console) -> AsyncIterator[None]:
    """Show the progress while the block runs: a live view on a terminal, else a line every two seconds."""
    task = asyncio.create_task(_live(progress, console) if console.is_terminal else _lines(progress, console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _live(progress: Progress, console: Console) -> None:
    view = LiveView(progress)
    # Transient: the report that follows repeats it.
    with Live(view.render(), console=console, auto_refresh=False, transient=True) as live:
        while True:
            await asyncio.sleep(REFRESH_S)
            live.update(view.render(), refresh=True)


async def _lines(progress: Progress, console: Console) -> None:
    while True:
        await asyncio.sleep(PLAIN_LINE_S)
        console.print(plain_line(progress), highlight=False, soft_wrap=True)


def plain_line(progress: Progress) -> str:
    """The progress in one line, for logs."""
    return (
        f"replay: {progress.phase}: {len(progress.outcomes):,} of {progress.auctions:,} auctions, "
        f"{progress.sent:,} of {progress.bids:,} bids, {progress.bids_per_s:,.0f} bids/s, {_acks(progress.ack_s)}"
    )


class LiveView:
    """Draws a Progress, with a sparkline of the rate."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._rates: deque[float] = deque(maxlen=SPARK_SAMPLES)
        self._last_sent = 0
        self._last_s = self._started_s = time.monotonic()

    def render(self) -> RenderableType:
        progress = self._progress
        self._sample()
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(f"{progress.phase}", style="bold"),
            ProgressBar(total=max(1, progress.bids), completed=progress.sent, width=40),
            f"{progress.sent:,} / {progress.bids:,} bids",
            f"{time.monotonic() - self._started_s:,.0f} s",
        )
        done = len(progress.outcomes)
        lines: list[RenderableType] = [
            bar,
            Text.assemble(("bids/s  ", "dim"), (sparkline(self._rates), "cyan"), f"  {self._rates[-1]:,.0f}"),
            Text.assemble(("ack     ", "dim"), _acks(progress.ack_s[-RECENT_ACKS:])),
            Text.assemble(
                ("closed  ", "dim"), f"{done:,} of {progress.auctions:,} auctions, ",
                (f"{progress.exact:,} exact", "green"),
                f", {done - progress.exact:,} differ; {progress.refused.total():,} bids refused by the rules; "
                f"{progress.sockets_opened():,} sockets opened",
            ),
        ]  # fmt: skip
        return Group(*lines, _hot_table(list(progress.live.values())))

    def _sample(self) -> None:
        now_s = time.monotonic()
        elapsed_s = max(1e-6, now_s - self._last_s)
        self._rates.append((self._progress.sent - self._last_sent) / elapsed_s)
        self._last_sent, self._last_s = self._progress.sent, now_s


def sparkline(values: Sequence[float]) -> str:
    """One block a value, the tallest for the largest."""
    top = max(values, default=0.0)
    if top <= 0:
        return SPARKS[0] * len(values)
    return "".join(SPARKS[min(len(SPARKS) - 1, int(value / top * len(SPARKS)))] for value in values)


def _hot_table(live: list[LiveAuction]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("auction", "item", "bids", "price", "recorded"):
        table.add_column(column, justify="left" if column in ("auction", "item") else "right")
    for auction in sorted(live, key=lambda auction: -len(auction.recorded.bids))[:HOT_AUCTIONS]:
        recorded = auction.recorded
        table.add_row(
            Text(recorded.auction_id),
            Text(recorded.item),
            f"{auction.sent}/{len(recorded.bids)}",
            "—" if auction.price is None else dollars(auction.price),
            dollars(recorded.closing_price),
        )
    return table


def _acks(ack_s: Sequence[float]) -> str:
    figures = p50_p99(ack_s)
    if figures["p50"] is None:
        return "no acks yet"
    return f"p50 {figures['p50']:.1f} ms, p99 {figures['p99']:.1f} ms"


def report(name: str, dataset: Dataset, outcomes: Sequence[Outcome], progress: Progress) -> dict[str, Any]:
    """The result for machines. Prices in base units, latencies in ms."""
    exact = sum(outcome.exact for outcome in outcomes)
    return {
        "file": name,
        "auctions": len(outcomes),
        "exact": exact,
        "differ": len(outcomes) - exact,
        "bids": progress.sent,
        "accepted": progress.accepted,
        "refused": progress.refused.total(),
        "refused_by_code": dict(progress.refused),
        "seconds": round(progress.bidding_s, 3),
        "bids_per_s": round(progress.bids_per_s, 1),
        "ack_ms": p50_p99(progress.ack_s),
        "sockets_opened": progress.sockets_opened(),
        "prices_after_bids": _prices_after(outcomes),
        "by_item": [
            {"item": item, "auctions": len(own), "bids": _bids(own), "exact": sum(outcome.exact for outcome in own)}
            for item, own in _by_item(outcomes).items()
        ],
        "different": [
            {
                "auctionid": outcome.recorded.auction_id,
                "item": outcome.recorded.item,
                "auction": outcome.auction,
                "recorded": outcome.recorded.closing_price,
                "price": outcome.price,
                "why": why_different(outcome),
            }
            for outcome in outcomes
            if not outcome.exact
        ],
        "broken_rows": [{"line": row.line, "reason": row.reason} for row in dataset.broken],
    }


def print_report(console: Console, outcomes: Sequence[Outcome], progress: Progress) -> None:
    """The result for people."""
    table = Table(title="Closing prices: replayed against recorded", title_justify="left")
    table.add_column("item")
    for column in ("auctions", "bids", "exact", "share"):
        table.add_column(column, justify="right")
    for item, own in _by_item(outcomes).items():
        table.add_row(Text(item), *_row(own))
    table.add_section()
    table.add_row("all", *_row(outcomes), style="bold")
    console.print(table)
    _print_differences(console, [outcome for outcome in outcomes if not outcome.exact])
    refused = ", ".join(f"{count:,} {code}" for code, count in progress.refused.most_common()) or "none"
    after = _prices_after(outcomes)
    if after["recorded"]:
        console.print(
            f"Prices after each bid: {after['exact']:,} of {after['recorded']:,} as recorded.", highlight=False
        )
    console.print(
        f"{progress.sent:,} bids in {progress.bidding_s:,.1f} s: {progress.bids_per_s:,.0f} bids/s, "
        f"ack {_acks(progress.ack_s)}; {progress.accepted:,} accepted; refused by the rules: {refused}.",
        highlight=False,
        soft_wrap=True,
    )


def print_broken(console: Console, dataset: Dataset) -> None:
    """Which rows were skipped, and why."""
    for row in dataset.broken[:BROKEN_SHOWN]:
        console.print(f"line {row.line} skipped: {row.reason}", markup=False, highlight=False, soft_wrap=True)
    if (more := len(dataset.broken) - BROKEN_SHOWN) > 0:
        console.print(f"… and {more:,} more rows skipped (all of them in --json)", highlight=False)


def _print_differences(console: Console, different: list[Outcome]) -> None:
    reasons: dict[str, list[Outcome]] = {}
    for outcome in different:
        reasons.setdefault(why_different(outcome), []).append(outcome)
    for why, own in sorted(reasons.items(), key=lambda reason: -len(reason[1])):
        console.print(f"\n{len(own)} differ: {why}", markup=False, highlight=False, soft_wrap=True)
        for outcome in own[:DIFFERENCES_SHOWN]:
            recorded = outcome.recorded
            console.print(
                f"  {recorded.auction_id}  {recorded.item}: {dollars(outcome.price)}, "
                f"recorded {dollars(recorded.closing_price)}",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip
        if (more := len(own) - DIFFERENCES_SHOWN) > 0:
            console.print(f"  … and {more} more (all of them in --json)", highlight=False)
    if different:
        console.print()


def _by_item(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    items: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        items.setdefault(outcome.recorded.item, []).append(outcome)
    return dict(sorted(items.items()))


def _prices_after(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many prices after bids were recorded, and how many of them the engine gave."""
    pairs = [
        (bid.price_after, price)
        for outcome in outcomes
        for bid, price in zip(outcome.recorded.bids, outcome.after, strict=True)
        if bid.price_after is not None
    ]
    return {"recorded": len(pairs), "exact": sum(recorded == price for recorded, price in pairs)}


def _bids(outcomes: Sequence[Outcome]) -> int:
    return sum(len(outcome.recorded.bids) for outcome in outcomes)


def _row(outcomes: Sequence[Outcome]) -> list[str]:
    exact = sum(outcome.exact for outcome in outcomes)
    share = f"{exact / len(outcomes):.1%}" if outcomes else "—"
    return [f"{len(outcomes):,}", f"{_bids(outcomes):,}", f"{exact:,}", share]
