"""`ece bench`: how fast, measured through the wire."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.loads.attackers import KINDS
from bench.loads.processes import ProcessFailed
from bench.measures.attacks import ATTACK_SECONDS, measure_attacks
from bench.measures.beside import NoRival, check_rival, measure_beside, with_ratio
from bench.measures.catalog import CARDS, CARDS_MAX, measure_catalog
from bench.measures.density import AUCTIONS, AUCTIONS_MIN, measure_density
from bench.measures.failover import PARTS, Bench, measure_failover
from bench.measures.holds import ROUNDS, measure_holds
from bench.measures.ledger import LedgerRefused, measure_ledger
from bench.measures.live import HOT, LONE, SECONDS, SHAPES, SPREAD, Engine, Shape, figures, measure_echo, measure_shape
from bench.measures.long_auction import LONG_BIDS, SHORT_BIDS, measure_long
from bench.measures.micro import measure_micro
from bench.measures.move import MOVES, SWAPS, measure_moves
from bench.measures.move import Bench as MoveBench
from bench.measures.overload import measure_overload
from bench.measures.portfolio import COPIES, COPIES_MAX, measure_portfolio
from bench.measures.watch import WATCHERS, WATCHERS_MAX, measure_watch
from bench.wire.accounts import Roster
from bench.wire.accounts_by_rest import AccountsByRest, NoAccounts
from bench.wire.rest_client import RestRefused
from ece.commands.bench.calm import started_up
from ece.commands.bench.failover_view import print_failover
from ece.commands.bench.move_view import print_moves
from ece.commands.bench.view import (
    print_attacks,
    print_bench,
    print_catalog,
    print_density,
    print_holds,
    print_ledger,
    print_micro,
    print_overload,
    print_portfolio,
    print_watch,
)
from ece.data_dir import DataDir
from ece.engine.host_memory import HostProcesses, host_memory
from ece.engine.mover import EngineMover
from ece.engine.parts import EngineParts
from ece.engine.running import running_engine
from ece.failure import Failure
from ece.settings import Settings, load_settings
from ece.supervisor.port import free_port
from persistence.postgres.pool import close_pool, open_pool

# A bencher sends as fast as it is answered; the limits meant for people would be what is measured.
LIFTED = {"socket_commands_per_s": 1_000_000, "socket_commands_burst": 1_000_000}
RIVAL_SHAPES = (HOT, SPREAD)
SOCKETS_SPARE = 100
LOOPBACK = "127.0.0.1"
EXIT_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Measure the engine through its own wire: authenticated WebSockets, every accepted bid durable.\n\n"
        "Each bidder sends its next bid as soon as the last is answered (closed loop), from a process of its own on "
        "the same machine. In the same run a bare uvicorn echo is measured with the same client: `share_of_echo` is "
        "what is left of it once every message is an authenticated, decided and committed bid.\n\n"
        "A fresh engine is started on temporary data and removed again, unless --url names one that runs. "
        "Figures of one run only compare with figures of the same run.\n\n"
        "Begin with: scripts/ece bench hot"
    ),
)

Cards = Annotated[int, typer.Option(min=1_000, max=CARDS_MAX, help="Cards in the catalog.")]
Copies = Annotated[int, typer.Option(min=100, max=COPIES_MAX, help="Copies of the collector.")]
Seconds = Annotated[float, typer.Option(min=0.5, max=3600, help="Measured seconds of each shape, after a warm-up.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")]
Bids = Annotated[int, typer.Option(min=SHORT_BIDS, help="Length of the long auction.")]
Auctions = Annotated[int, typer.Option(min=AUCTIONS_MIN, help="How many auctions are live at the same time.")]
Watchers = Annotated[int, typer.Option(min=1, help="Watchers of the first round.")]
WatchersMax = Annotated[int, typer.Option(min=1, help="The crowd is doubled while it is no larger than this.")]
Rounds = Annotated[int, typer.Option(min=1, max=100, help="How often each part is killed.")]
HoldRounds = Annotated[int, typer.Option("--rounds", min=1, max=100, help="How often each of the two is measured.")]
Gateways = Annotated[int, typer.Option(min=1, max=16, help="Gateways of the engine; all share the port.")]
Moves = Annotated[int, typer.Option(min=1, max=1_000, help="Moves of slots, in each of the two shapes.")]
Swaps = Annotated[int, typer.Option(min=0, max=100, help="How often the host of its own goes to the other auction.")]
Part = Annotated[
    list[str] | None,
    typer.Option(metavar="PART", help=f"Kill only this part: {', '.join(PARTS)}. May be given several times."),
]
Kind = Annotated[
    list[str] | None,
    typer.Option(metavar="ATTACK", help=f"Only this attack: {', '.join(KINDS)}. May be given several times."),
]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Measure the engine that runs there; its limits stay as they are."),
]
Beside = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Measure the rival stack in DIR (start.sh, load.js, pg.sh; needs Node.js) too."),
]


@dataclass(frozen=True)
class Asked:
    """What to measure and how to show it."""

    seconds: float
    as_json: bool
    url: str | None
    shapes: tuple[Shape, ...] = ()
    long_bids: int | None = None
    beside: Path | None = None


@app.command()
def hot(seconds: Seconds = SECONDS, as_json: AsJson = False, url: Url = None, beside: Beside = None) -> None:
    """1 auction × 50 bidders, each also watching it: the worst case for one actor.

    With --beside DIR the rival stack (Express, Socket.io, PostgreSQL) is run too, and the ratios are shown.
    """
    _bench("hot", Asked(seconds, as_json, url, (HOT,), beside=beside))


@app.command()
def spread(seconds: Seconds = SECONDS, as_json: AsJson = False, url: Url = None, beside: Beside = None) -> None:
    """50 auctions × 4 bidders, each also watching its auction: what one host carries."""
    _bench("spread", Asked(seconds, as_json, url, (SPREAD,), beside=beside))


@app.command()
def lone(seconds: Seconds = SECONDS, as_json: AsJson = False, url: Url = None) -> None:
    """A lone bidder: how long one durable bid takes when nobody else bids."""
    _bench("lone", Asked(seconds, as_json, url, (LONE,)))


@app.command(name="long")
def long_(seconds: Seconds = SECONDS, bids: Bids = LONG_BIDS, as_json: AsJson = False, url: Url = None) -> None:
    """A bid in an auction of a million bids beside one in an auction of a thousand: time and the host's memory."""
    _bench("long", Asked(seconds, as_json, url, long_bids=bids))


@app.command(name="all")
def all_(
    seconds: Seconds = SECONDS,
    bids: Bids = LONG_BIDS,
    as_json: AsJson = False,
    url: Url = None,
    beside: Beside = None,
) -> None:
    """hot, spread, lone and long, one after the other on one engine."""
    _bench("all", Asked(seconds, as_json, url, (HOT, SPREAD, LONE), bids, beside))


@app.command()
def micro(as_json: AsJson = False) -> None:
    """The parts alone: deciding a bid, encoding and hashing an event, appending to PostgreSQL."""
    result = _awaited(_micro(Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "micro", **result}) + "\n")
    else:
        print_micro(Console(), result)


@app.command()
def ledger(seconds: Seconds = SECONDS, as_json: AsJson = False) -> None:
    """Transfers and holds in batches, straight into PostgreSQL, with all rules, constraints and hashes."""
    result = _awaited(_ledger(seconds, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "ledger", **result}) + "\n")
    else:
        print_ledger(Console(), result)


@app.command()
def holds(seconds: Seconds = SECONDS, rounds: HoldRounds = ROUNDS, as_json: AsJson = False) -> None:
    """Bids that have to be covered beside bids that need not be: two engines, in turns."""
    result = _awaited(_holds(seconds, rounds, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "holds", **result}) + "\n")
    else:
        print_holds(Console(), result)


@app.command()
def catalog(cards: Cards = CARDS, as_json: AsJson = False) -> None:
    """Importing cards from a file, then pages of the catalog with facets, and searches, with typos and without."""
    result = _awaited(_catalog(cards, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "catalog", **result}) + "\n")
    else:
        print_catalog(Console(), result)


@app.command()
def portfolio(copies: Copies = COPIES, as_json: AsJson = False) -> None:
    """A collection of 10,000 copies, valued: read models counted from 60,000 sales, then read, also over REST."""
    result = _awaited(_portfolio(copies, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "portfolio", **result}) + "\n")
    else:
        print_portfolio(Console(), result)


@app.command()
def density(auctions: Auctions = AUCTIONS, as_json: AsJson = False) -> None:
    """10,000 live auctions in shared placement: the hosts' memory, and how soon all are back after kill -9."""
    result = _awaited(_density(auctions, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "density", **result}) + "\n")
    else:
        print_density(Console(), result)


@app.command()
def watch(
    watchers: Watchers = WATCHERS,
    up_to: WatchersMax = WATCHERS_MAX,
    seconds: Seconds = SECONDS,
    as_json: AsJson = False,
) -> None:
    """2,000 watchers of one auction at 200 bids a second, then twice as many, until it breaks: when news arrives."""
    result = _awaited(_watch(watchers, max(watchers, up_to), seconds, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "watch", **result}) + "\n")
    else:
        print_watch(Console(), result)


@app.command()
def overload(seconds: Seconds = SECONDS, as_json: AsJson = False) -> None:
    """Once, twice and three times the bids that the engine can take: what it still accepts, how soon it refuses."""
    result = _awaited(_overload(seconds, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "overload", **result}) + "\n")
    else:
        print_overload(Console(), result)


@app.command()
def attacks(seconds: Seconds = ATTACK_SECONDS, only: Kind = None, as_json: AsJson = False) -> None:
    """What bidders and REST clients notice while others attack the gateway: slow, silent, flooding, reading nothing."""
    unknown = [name for name in only or () if name not in KINDS]
    if unknown:
        raise Failure(f"--only {unknown[0]}: there is no such attack. Attacks are {', '.join(KINDS)}.")
    result = _awaited(_attacks(only or list(KINDS), seconds, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "attacks", **result}) + "\n")
    else:
        print_attacks(Console(), result)


@app.command()
def failover(rounds: Rounds = 1, gateways: Gateways = 1, part: Part = None, as_json: AsJson = False) -> None:
    """kill -9 of each part under a steady load: how long until bids flow again, and whether one was lost."""
    unknown = [name for name in part or () if name not in PARTS]
    if unknown:
        raise Failure(f"--part {unknown[0]}: there is no such part. Parts are {', '.join(PARTS)}.")
    parts = [name for name in PARTS if not part or name in part]
    result = _awaited(_failover(parts, rounds, gateways, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "failover", **result}) + "\n")
    else:
        print_failover(Console(), result)


@app.command()
def move(moves: Moves = MOVES, swaps: Swaps = SWAPS, as_json: AsJson = False) -> None:
    """Live moves under full load: how long bids take while their auctions change hosts, and whether one is refused.

    Two hosts. The slots of `hot` and then of `spread` go to and fro between them, as with `ece slots move`. Then two
    auctions compete for one host of their own (ECE_DEDICATED_MAX=1): the hotter gets it by itself, and gives it back
    when the other one is hotter; each keeps it for 15 s at least, so a swap takes that long.

    Every bid is noted. A move is what was under way from 100 ms before to 100 ms after the directory named another
    keeper. Bar for each move: p99 under 100 ms, no bid refused or told `unavailable`, none of the acknowledged missing.
    """
    result = _awaited(_move(moves, swaps, Console(stderr=True, highlight=False)))
    if as_json:
        sys.stdout.write(json.dumps({"bench": "move", **result}) + "\n")
    else:
        print_moves(Console(), result)


def _bench(name: str, asked: Asked) -> None:
    """Measure, then show: a table, or JSON, in which a bench of one part has its figures at the top."""
    narration = Console(stderr=True, highlight=False)
    result = _awaited(_measured(asked, narration))
    if asked.as_json:
        parts = {key: value for key, value in result.items() if key in SHAPES or key == "long"}
        rest = {key: value for key, value in result.items() if key not in parts}
        flat = result if name == "all" else {**rest, **parts[name]}
        sys.stdout.write(json.dumps({"bench": name, **flat}) + "\n")
    else:
        print_bench(Console(), result)


def _awaited(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (NoRival, NoAccounts, ProcessFailed, RestRefused, LedgerRefused, OSError) as error:
        raise Failure(f"The bench stopped: {error}") from error


async def _measured(asked: Asked, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    if asked.beside is not None:
        check_rival(asked.beside)
    result: dict[str, Any] = {"settings": LIFTED if asked.url is None else {}}
    if asked.shapes:
        tell("bare echo, the yardstick")
        result["echo_per_s"] = round(await measure_echo(), 1)
    async with _engine(asked.url, narration) as engine:
        for shape in asked.shapes:
            tell(f"{shape.name}: {shape.about}, {asked.seconds:g} s")
            result[shape.name] = figures(await measure_shape(engine, shape, asked.seconds), result["echo_per_s"])
        if asked.long_bids is not None:
            result["long"] = await measure_long(engine, asked.long_bids, asked.seconds, tell)
    if asked.beside is not None:
        # The engine has stopped: each stack has the machine to itself.
        shapes = [shape for shape in asked.shapes if shape in RIVAL_SHAPES]
        for name, stores in (await measure_beside(asked.beside, shapes, asked.seconds, tell)).items():
            result[name]["beside"] = {store: with_ratio(result[name], rival) for store, rival in stores.items()}
    return result


@asynccontextmanager
async def _engine(url: str | None, narration: Console) -> AsyncIterator[Engine]:
    """The engine at the URL, or a fresh one on temporary data with the limits for people lifted."""
    if url is not None:
        yield Engine(url, AccountsByRest(url))
        return
    with _temporary_settings() as settings:
        async with running_engine(settings, narration) as engine:
            data_dir = DataDir(settings.data_dir)
            await started_up()
            yield Engine(engine.base_url, engine.accounts, lambda: host_memory(data_dir))


@contextmanager
def _temporary_settings(lifted: Mapping[str, int] = LIFTED, **more: int | str) -> Iterator[Settings]:
    """Settings for an engine of our own: temporary data, a free port, these limits lifted."""
    with tempfile.TemporaryDirectory(prefix="ece-bench-", ignore_cleanup_errors=True) as directory:
        # Root's embedded PostgreSQL runs as another user, who has to pass through.
        Path(directory).chmod(0o711)
        yield load_settings(data_dir=Path(directory) / "data", port=free_port(LOOPBACK), **lifted, **more)


async def _micro(narration: Console) -> dict[str, Any]:
    with _temporary_settings() as settings:
        async with running_engine(settings, narration) as engine:
            return await measure_micro(engine.database_url)


async def _ledger(seconds: float, narration: Console) -> dict[str, Any]:
    with _temporary_settings() as settings:
        async with running_engine(settings, narration) as engine:
            await started_up()
            return await measure_ledger(engine.database_url, seconds)


async def _holds(seconds: float, rounds: int, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    engines = []
    async with AsyncExitStack() as stack:
        for bid_holds in ("on", "off"):
            settings = stack.enter_context(_temporary_settings(bid_holds=bid_holds))
            running = await stack.enter_async_context(running_engine(settings, narration))
            engines.append(Engine(running.base_url, running.accounts))
        await started_up()
        return await measure_holds(engines[0], engines[1], seconds, rounds, tell)


async def _catalog(cards: int, narration: Console) -> dict[str, Any]:
    with _temporary_settings() as settings:
        async with running_engine(settings, narration) as engine:
            await started_up()
            return await measure_catalog(
                engine.database_url,
                engine.redis_url,
                cards,
                lambda what: narration.print(f"bench: {what}", markup=False),
            )


async def _portfolio(copies: int, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    with _temporary_settings() as settings:
        async with running_engine(settings, narration) as engine:
            await started_up()
            return await measure_portfolio(engine.database_url, engine.base_url, engine.accounts, copies, tell)


async def _density(auctions: int, narration: Console) -> dict[str, Any]:
    with _temporary_settings() as settings:
        async with running_engine(settings, narration) as engine:
            return await measure_density(
                engine.base_url,
                Roster(engine.accounts),
                HostProcesses(DataDir(settings.data_dir)),
                auctions,
                lambda what: narration.print(f"bench: {what}", markup=False),
            )


async def _watch(watchers: int, up_to: int, seconds: float, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    # The crowd, its bidders and the newcomer who looks where the auction stands.
    with _temporary_settings(sockets_max=up_to + SOCKETS_SPARE) as settings:
        async with running_engine(settings, narration) as engine:
            return await measure_watch(Engine(engine.base_url, engine.accounts), watchers, up_to, seconds, tell)


async def _overload(seconds: float, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    async with _engine(None, narration) as engine:
        return await measure_overload(engine, seconds, tell)


async def _attacks(kinds: list[str], seconds: float, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    # Its limits are what is measured: none is lifted.
    with _temporary_settings(lifted={}) as settings:
        async with running_engine(settings, narration) as engine:
            await started_up()
            return await measure_attacks(Engine(engine.base_url, engine.accounts), kinds, seconds, tell)


async def _failover(parts: list[str], rounds: int, gateways: int, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    with _temporary_settings(gateways=gateways) as settings:
        async with running_engine(settings, narration) as engine:
            processes = await EngineParts.of(DataDir(settings.data_dir), engine.database_url)
            bench = Bench(engine.base_url, Roster(engine.accounts), processes, started_up)
            return {"gateways": gateways, **await measure_failover(bench, parts, rounds, tell)}


async def _move(moves: int, swaps: int, narration: Console) -> dict[str, Any]:
    def tell(what: str) -> None:
        narration.print(f"bench: {what}", markup=False)

    with _temporary_settings(hosts=2, spare_hosts=0, dedicated_max=1) as settings:
        async with running_engine(settings, narration) as engine:
            await started_up()
            pool = await open_pool(engine.database_url, size_max=2)
            try:
                subject = Engine(engine.base_url, engine.accounts)
                mover = EngineMover(pool, settings.slots)
                return await measure_moves(MoveBench(subject, mover, engine.database_url), moves, swaps, tell)
            finally:
                await close_pool(pool)
