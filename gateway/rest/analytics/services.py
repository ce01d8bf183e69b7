"""The stores of the routes about portfolios and the market."""

from dataclasses import dataclass

from persistence.analytics.activity import UserActivity
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading


@dataclass(frozen=True)
class AnalyticsReading:
    """The read models of portfolios and the market."""

    portfolios: PortfolioReading
    market: MarketReading
    activity: UserActivity
