"""The table of benches, in the order of `ece bench --help`."""

from bench.definition import Bench
from bench.measures.attacks import attacks
from bench.measures.catalog import catalog
from bench.measures.closed_loop import every, hot, lone, long, spread
from bench.measures.density import density
from bench.measures.failover import failover
from bench.measures.holds import holds
from bench.measures.ledger import ledger
from bench.measures.micro import micro
from bench.measures.move import move
from bench.measures.overload import overload
from bench.measures.portfolio import portfolio
from bench.measures.watch import watch

BENCHES: tuple[Bench, ...] = (
    hot,
    spread,
    lone,
    long,
    every,
    micro,
    ledger,
    holds,
    catalog,
    portfolio,
    density,
    watch,
    overload,
    attacks,
    failover,
    move,
)
