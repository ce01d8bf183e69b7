"""The table ``auctions``: the summary rows of auctions."""

from persistence.log.summaries import SummaryTable

AUCTIONS = SummaryTable(
    name="auctions",
    key="auction_id",
    columns=(
        ("seller_id", "bigint"), ("seller_name", "text"), ("title", "text"), ("format", "text"), ("status", "text"),
        ("placement", "text"), ("price", "bigint"), ("minimum", "bigint"), ("leader_id", "bigint"),
        ("leader_name", "text"), ("winner_id", "bigint"), ("bids", "bigint"), ("reserve", "text"),
        ("buy_now", "bigint"), ("starts_at", "bigint"), ("ends_at", "bigint"), ("closed_reason", "text"),
    ),
    fixed=frozenset({"seller_id", "seller_name", "title", "format", "placement", "starts_at"}),
)  # fmt: skip
