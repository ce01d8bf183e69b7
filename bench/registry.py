"""The table of benches, in the order of `ece bench --help`."""

from bench.definition import Bench
from bench.measures.attacks import attacks
from bench.measures.browser.command import browser
from bench.measures.capacity.command import capacity
from bench.measures.capacity.scaling import scale
from bench.measures.closed_loop import every, hot, lone, long, spread
from bench.measures.compare.compare import compare
from bench.measures.database.catalog import catalog
from bench.measures.database.ledger import ledger
from bench.measures.database.portfolio import portfolio
from bench.measures.failover import failover
from bench.measures.gateway.guard import guard
from bench.measures.gateway.logins import logins
from bench.measures.load_tests.locust import locust
from bench.measures.micro import micro
from bench.measures.mint import mint
from bench.measures.move import move
from bench.measures.overload import overload
from bench.measures.trades import trades
from bench.report.measure import bench as report

BENCHES: tuple[Bench, ...] = (
    hot,
    spread,
    lone,
    long,
    every,
    compare,
    micro,
    ledger,
    catalog,
    portfolio,
    capacity,
    scale,
    overload,
    attacks,
    guard,
    logins,
    failover,
    move,
    mint,
    trades,
    browser,
    locust,
    report,
)
