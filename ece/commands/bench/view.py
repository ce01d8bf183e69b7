"""Figures of the benches, for people."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.measures.live import SHAPES
from bench.measures.long_auction import ROUNDS


def print_bench(console: Console, result: dict[str, Any]) -> None:
    """Every part that was measured, then what they were measured beside."""
    shapes = [name for name in SHAPES if name in result]
    if shapes:
        console.print(_shapes_table(result, shapes))
        echo = _rate(result["echo_per_s"])
        console.print(f"Latencies: p50 / p99. Bare uvicorn echo of this run: {echo} round trips/s.", highlight=False)
        for name in shapes:
            console.print(f"{name}: {SHAPES[name].about}", highlight=False)
            _print_oddities(console, name, result[name])
    if any("beside" in result[name] for name in shapes):
        console.print(_beside_table(result, shapes))
    if "long" in result:
        _print_long(console, result["long"])
    if result["settings"]:
        lifted = ", ".join(f"ECE_{name.upper()}={value}" for name, value in result["settings"].items())
        console.print(f"The engine ran with {lifted}; everything else by default.", highlight=False, soft_wrap=True)


def print_micro(console: Console, result: dict[str, Any]) -> None:
    table = new_table("The parts alone", "what", "each", "per second")
    for figures in result.values():
        table.add_row(figures["about"], f"{figures['us']:,.2f} µs", _rate(figures["per_s"]))
    console.print(table)


def print_ledger(console: Console, result: dict[str, Any]) -> None:
    """Transfers and holds a second."""
    table = new_table("The ledger, in batches", "what", "per second", "a batch", "batch ms", "writers", "accounts")
    for name in ("transfers", "holds"):
        figures = result[name]
        table.add_row(
            name,
            _rate(figures["per_s"]),
            f"{figures['batch']:,}",
            _pair(figures["batch_ms"]),
            str(figures["writers"]),
            f"{figures['accounts']:,}",
        )
    console.print(table)
    goal = result["goals"]["transfers_per_s"]
    console.print(f"Times: p50 / p99. Goal for transfers: above {goal:,}/s.", highlight=False)


def print_attacks(console: Console, result: dict[str, Any]) -> None:
    """A row an attack, below one for what is so in quiet. As wide as a terminal of 80 columns."""
    table = new_table("While the gateway is attacked", "attack", "ack ms", "×", "answers", "REST ms", "MiB", "dropped")
    quiet = max(result["quiet_ack_ms"], key=lambda window: window["p99"] or 0)
    table.add_row("none", _pair(quiet), "", "", _pair(result["quiet_rest_ms"]), f"{result['memory_mib']:.0f}", "")
    for name, figures in result["attacks"].items():
        times = figures["times_quiet"]
        table.add_row(
            name.replace("_", " "),
            _pair(figures["ack_ms"]),
            "—" if times is None else f"{times:.1f}",
            _statuses(figures["health"], figures["rest"]),
            _pair(figures["rest_ms"]),
            f"{figures['memory_mib']:.0f}",
            f"{sum(figures['dropped'].values()):,.0f}",
        )
    console.print(table)
    goal = result["goals"]["times_quiet"]
    console.print(
        f"Times: p50 / p99; “none”: the worst of the quiet windows. ×: p99 of acks beside the larger one in quiet, "
        f"before and after. Goal: below {goal:g}, and health and REST answer 200. Attackers work on the same cores.",
        highlight=False,
    )


def _statuses(*counts: dict[str, float]) -> str:
    """The statuses that were answered; --json says how often."""
    return ", ".join(sorted({status for some in counts for status in some}))


def print_holds(console: Console, result: dict[str, Any]) -> None:
    """Accepted bids a second with and without holds, and their ratio."""
    table = new_table("Bids that have to be covered", "bench", "covered/s", "not covered/s", "ratio", "goal", "met")
    for name, figures in result["shapes"].items():
        ratio = figures["ratio"]
        met = ratio is not None and ratio >= result["goal"]
        table.add_row(
            name,
            _span(figures["covered_per_s"]),
            _span(figures["uncovered_per_s"]),
            "—" if ratio is None else f"{ratio:.0%}",
            f"{result['goal']:.0%}",
            "yes" if met else "no",
        )
    console.print(table)
    console.print("Rates: least to most of the rounds. Ratio: the median of the rounds' ratios.", highlight=False)


def print_catalog(console: Console, result: dict[str, Any]) -> None:
    """Cards a second, and how long a page takes."""
    table = new_table(
        f"A catalog of {result['cards']:,} cards: a page, its total and its facets",
        "what", "p50 ms", "p95 ms", "cached p50", "cached p95",
    )  # fmt: skip
    for name, about in (
        ("facet_page", "by set, rarity or trait"),
        ("for_sale", "for sale, of a rarity, by price"),
        ("whole_catalog", "everything there is"),
        ("search", "a name of two words"),
        ("word_search", "a word of a tenth of all cards"),
        ("typo_search", "a name with a letter left out"),
    ):
        figures = [result[way][name][share] for way in ("read", "kept") for share in ("p50", "p95")]
        table.add_row(about, *(f"{figure:.1f}" for figure in figures))
    console.print(table)
    goals = result["goals"]
    console.print(
        f"Imported at {_rate(result['imported_per_s'])} cards/s. Goals: above {goals['imported_per_s']:,}/s, "
        f"each p95 under {goals['p95_ms']} ms.",
        highlight=False,
        soft_wrap=True,
    )


def print_portfolio(console: Console, result: dict[str, Any]) -> None:
    """How long a large collection takes to be read, and what it took to count the figures."""
    table = new_table(
        f"A collection of {result['copies']:,} copies of {result['holdings']:,} cards", "what", "p50 ms", "p95 ms"
    )
    for name, about in (
        ("portfolio", "portfolio, at the store"),
        ("rest", "portfolio, over REST"),
        ("holdings_page", "a page of 50 holdings"),
        ("history", "value over 30 days"),
        ("card_days", "a card's prices by day"),
        ("movers", "movers of 30 days"),
    ):
        table.add_row(about, f"{result[name]['p50']:.1f}", f"{result[name]['p95']:.1f}")
    console.print(table)
    console.print(
        f"Taken in: {result['rows']:,} rows at {_rate(result['rows_per_s'])}/s, then {result['value_days']:,} values "
        f"at the ends of days in {result['values_s']:.1f} s. Goal: a portfolio's p95 under "
        f"{result['goals']['p95_ms']} ms.",
        highlight=False,
        soft_wrap=True,
    )


def print_density(console: Console, result: dict[str, Any]) -> None:
    """What the hosts weigh at each size, and how soon they were back."""
    table = new_table("Live auctions in shared placement, each with a bid", "auctions", "hosts MiB")
    for weighed in result["weighed"]:
        table.add_row(f"{weighed['auctions']:,}", f"{weighed['hosts_mib']:,.1f}")
    console.print(table)
    memory_max, back_max = result["goals"]["hosts_mib"], result["goals"]["recovered_s"]
    for line in (
        f"Each further 1,000 auctions: {result['mib_per_1000']:.1f} MiB. Goal: under {memory_max:,} MiB in all.",
        f"Listed at {_rate(result['created_per_s'])}/s by REST, then bid on at {_rate(result['bids_per_s'])}/s.",
        f"After kill -9 of the hosts ({result['hosts']}) the first auction took another bid after "
        f"{result['first_back_s']:.1f} s, the last after {result['recovered_s']:.1f} s. Goal: {back_max:g} s.",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def print_watch(console: Console, result: dict[str, Any]) -> None:
    """Every crowd that was measured, and what ended it."""
    table = new_table("Watchers of one auction that is bid on at a steady rate",
                   "watchers", "bids/s", "news ms", "frames/s", "ack ms", "dropped", "right")  # fmt: skip
    for figures in result["rounds"]:
        table.add_row(
            f"{figures['watchers']:,}",
            _rate(figures["bids_per_s"]),
            _pair(figures["news_ms"]),
            _rate(figures["frames_per_s"]),
            _pair(figures["ack_ms"]),
            f"{figures['dropped']:,}",
            "all" if figures["right"] == figures["watchers"] else f"{figures['right']:,}",
        )
    console.print(table)
    goal = result["goals"]["news_p99_ms"]
    console.print(f"Latencies: p50 / p99. Goal for the first row: news p99 under {goal:g} ms.", highlight=False)
    console.print(f"It ended there: {result['ended_by']}.", highlight=False, soft_wrap=True)


def print_overload(console: Console, result: dict[str, Any]) -> None:
    """Each multiple of the peak, and whether the load itself kept up."""
    table = new_table("Bids a second at fixed times, whatever becomes of them",
                      "", "offered", "taken", "share", "ack ms", "no ms", "last", "late")  # fmt: skip
    for figures in result["rounds"]:
        last_ms = figures["overloaded_last_ms"]
        table.add_row(
            f"{figures['times']} ×",
            _rate(figures["offered_per_s"]),
            _rate(figures["accepted_per_s"]),
            f"{figures['share_of_peak']:.0%}",
            _pair(figures["ack_ms"]),
            _pair(figures["overloaded_ms"]),
            "—" if last_ms is None else f"{last_ms:.1f}",
            f"{figures['behind_ms']['p99'] or 0:.1f}",
        )
    console.print(table)
    goal = result["goals"]["goodput_share"]
    peaks = f"{_rate(result['peak_per_s'])} bids/s before, {_rate(result['peak_again_per_s'])} after"
    for line in (
        f"Peak of {result['sockets']} sockets in closed loop: {peaks}. Goal for the last row: above {goal:.0%} of it.",
        "Times: p50 / p99, from when the bid was to be sent. `no` is the answer `overloaded`, `last` the latest of "
        "these, `share` that of the peak; `late` is how late the load was itself (p99).",
        *(_what_spoils(figures) for figures in result["rounds"]),
    ):
        if line:
            console.print(line, highlight=False, soft_wrap=True)


def _what_spoils(figures: dict[str, Any]) -> str:
    """What stands beside the row in words; empty where nothing does."""
    times, said = figures["times"], []
    if not figures["load_kept_up"]:
        said.append("the load was late with its own bids, so this row says little of the engine")
    if figures["otherwise_refused"]:
        said += [f"{count:,} refused: {code}" for code, count in figures["otherwise_refused"].items()]
    if figures["unavailable_per_s"]:
        said.append(f"{_rate(figures['unavailable_per_s'])}/s were answered `unavailable`")
    if figures["unanswered"]:
        said.append(f"{figures['unanswered']:,} bids were never answered")
    if figures["lost_connections"]:
        said.append(f"{figures['lost_connections']} connections were lost")
    return f"{times} ×: {'; '.join(said)}." if said else ""


def _shapes_table(result: dict[str, Any], shapes: list[str]) -> Table:
    table = new_table(
        "Durable accepted bids",
        "bench", "accepted/s", "refused/s", "ack ms", "news ms", "news/s", "of echo",
    )  # fmt: skip
    for name in shapes:
        figures = result[name]
        table.add_row(
            name,
            _rate(figures["accepted_per_s"]),
            _rate(figures["refused_per_s"]),
            _pair(figures["ack_ms"]),
            _pair(figures["news_ms"]),
            _rate(figures["news_per_s"]),
            f"{figures['share_of_echo']:.0%}",
        )
    return table


def _beside_table(result: dict[str, Any], shapes: list[str]) -> Table:
    table = new_table("Beside the rival stack, same machine, one after the other", "bench", "store", "accepted/s",
                   "ack ms", "ours is")  # fmt: skip
    for name in shapes:
        for store, rival in result[name].get("beside", {}).items():
            ratio = "—" if rival["ratio"] is None else f"{rival['ratio']:g} times"
            table.add_row(name, store, _rate(rival["accepted_per_s"]), _pair(rival["ack_ms"]), ratio)
    return table


def _print_long(console: Console, result: dict[str, Any]) -> None:
    table = new_table(f"A lone bidder in a long auction and in a short one, medians of {ROUNDS} rounds by turns",
                   "auction of", "built at", "accepted/s", "ack ms", "host memory MB")  # fmt: skip
    for length in ("short", "long"):
        figures = result[length]
        memory = figures["host_memory_mb"]
        shown = "—" if memory["after"] is None else f"{memory['before']:,.1f} → {memory['after']:,.1f}"
        table.add_row(
            f"{figures['bids_before']:,} bids",
            f"{_rate(figures['built_per_s'])}/s",
            _rate(figures["accepted_per_s"]),
            _pair(figures["ack_ms"]),
            shown,
        )
    console.print(table)
    ratio = result["ratio"]
    console.print(f"Long over short: ack p50 × {ratio['ack_p50']}, p99 × {ratio['ack_p99']}.", highlight=False)


def _print_oddities(console: Console, name: str, figures: dict[str, Any]) -> None:
    if figures["refused"]:
        reasons = ", ".join(f"{count:,} {code}" for code, count in figures["refused"].items())
        console.print(f"{name}: refused: {reasons}", highlight=False)
    if figures["lost_connections"]:
        console.print(f"{name}: {figures['lost_connections']} connections were lost: the figures are too low")


def new_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", min_width=len(title), box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _rate(value: float) -> str:
    return f"{value:,.0f}"


def _span(rates: list[float]) -> str:
    return f"{min(rates):,.0f}–{max(rates):,.0f}"


def _pair(latencies: dict[str, float | None]) -> str:
    return " / ".join(_ms(latencies[name]) for name in ("p50", "p99"))


def _ms(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"
