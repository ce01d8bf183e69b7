"""The figures of `ece bench failover`, for people."""

from typing import Any

from rich.console import Console

from bench.measures.failover import AFTER_POSTGRES_S_MAX, POSTGRES
from ece.commands.bench.view import new_table


def print_failover(console: Console, result: dict[str, Any]) -> None:
    """A row for each part, then what the columns mean and what was missed."""
    several = result["rounds"] > 1
    size = f"{result['auctions']} auctions, {result['bidders']} bidders, {result['gateways']} gateway(s)"
    table = new_table(
        f"kill -9 under load: {size}",
        "part", "first s", "all s", "no bid", "refused", "silence", "lost", "bar", "met",
    )  # fmt: skip
    table.padding = (0, 1, 0, 0)  # so that it fits eighty columns
    for part, figures in result["parts"].items():
        table.add_row(
            part,
            _seconds(figures["first_s"], several),
            _seconds(figures["all_s"], several),
            f"{figures['no_bid_s']['worst']:.2f}",
            f"{figures['unavailable']['worst']:,.0f}",
            f"{figures['longest_silence_s']['worst']:.2f}",
            f"{figures['missing']:,}",
            "—" if figures["bar_s"] is None else f"{figures['bar_s']:g}",
            {True: "yes", False: "NO", None: "—"}[figures["met"]],
        )
    console.print(table)
    lines = [
        "first, all: seconds from the kill to the first bid accepted again, and until every auction accepts.",
        "no bid: longest time without an accepted one. refused: answers `unavailable`; they are sent again.",
        "silence: longest wait for any answer. lost: acknowledged bids that the log lacks.",
    ]
    if several:
        lines.append(
            f"Median / worst of {result['rounds']} rounds; single figures, and what the bar asks of: the worst."
        )
    if POSTGRES in result["parts"]:
        after = _seconds(result["parts"][POSTGRES]["after_answer_s"], several)
        lines.append(
            f"PostgreSQL: {after} s from its first answer until every auction accepts; bar {AFTER_POSTGRES_S_MAX:g} s."
        )
    lines.append(f"Of {result['acknowledged']:,} acknowledged bids {result['missing']:,} are missing in the log.")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _seconds(both: dict[str, float], several: bool) -> str:
    return f"{both['median']:.2f}/{both['worst']:.2f}" if several else f"{both['worst']:.2f}"
