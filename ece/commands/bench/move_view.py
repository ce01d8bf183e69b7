"""The figures of `ece bench move`, for people."""

from typing import Any

from rich.console import Console

from bench.measures.live import HOT, SPREAD
from bench.measures.move import OWN
from ece.commands.bench.view import new_table

ABOUT = {"hot": HOT.about, "spread": SPREAD.about, "own_host": OWN.about}


def print_moves(console: Console, result: dict[str, Any]) -> None:
    """A row for each kind of move, then what the columns mean and what was missed."""
    bar, around = result["bar_p99_ms"], result["around_ms"]
    table = new_table(
        "Live moves under full load",
        "bench", "moves", "bids/s", "in moves", "apart", "worst", "bar", "refused", "lost", "met",
    )  # fmt: skip
    table.padding = (0, 1, 0, 0)  # so that it fits eighty columns
    parts = {name: result[name] for name in ABOUT if name in result}
    for name, figures in parts.items():
        worst = figures["worst_move_p99_ms"]
        table.add_row(
            name.replace("_", " "),
            f"{figures['moves']:,}",
            f"{figures['bids_per_s']:,.0f}",
            _three(figures["during"]),
            _three(figures["apart"]),
            "—" if worst is None else f"{worst:.1f}",
            f"{bar:g}",
            f"{sum(figures['refused'].values()) + figures['unanswered']:,}",
            f"{figures['missing']:,}",
            "yes" if figures["met"] else "NO",
        )
    console.print(table)
    lines = [
        "in moves: ms from sending to ack, p50/p99/max, of the bids under way from "
        f"{around} ms before to {around} ms after",
        "the directory named another keeper; apart: of all others. worst: p99 of the bids of one move.",
        f"Bar: in each move a p99 under {bar:g} ms, nothing refused because of it, nothing acknowledged missing.",
        *(f"{name.replace('_', ' ')}: {ABOUT[name]}{_said(figures)}" for name, figures in parts.items()),
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _said(figures: dict[str, Any]) -> str:
    """What was refused, by code; and how many bids the rules refused, which is nobody's fault."""
    said = [f"{count:,} {code}" for code, count in figures["refused"].items()]
    if figures["unanswered"]:
        said.append(f"{figures['unanswered']:,} never answered")
    if figures["refused_by_the_rules"]:
        said.append(f"{figures['refused_by_the_rules']:,} overtaken on their way, and too low then")
    return f"; {', '.join(said)}" if said else ""


def _three(latencies: dict[str, float | None]) -> str:
    return "/".join("—" if latencies[name] is None else f"{latencies[name]:.0f}" for name in ("p50", "p99", "max"))
