"""What the routes of portfolios and the market work with."""

from dataclasses import dataclass

from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading


@dataclass(frozen=True)
class AnalyticsReading:
    """Portfolios and the market, as they are read."""

    portfolios: PortfolioReading
    market: MarketReading
