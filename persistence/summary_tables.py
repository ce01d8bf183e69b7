"""The registry of summary tables: a kind that lists its entities has one; one that does not needs none."""

from persistence.auctions.summary import AUCTIONS
from persistence.log.summaries import SummaryTable
from persistence.trades.summary import TRADES

SUMMARY_TABLES: dict[str, SummaryTable] = {"auction": AUCTIONS, "trade": TRADES}
