"""The table ``trades``: the summary rows of trades."""

from persistence.log.summaries import SummaryTable

TRADES = SummaryTable(
    name="trades",
    key="trade_id",
    columns=(
        ("proposer_id", "bigint"), ("parties", "text"), ("status", "text"), ("version", "bigint"), ("copies", "text"),
        ("money", "bigint"), ("expires_at", "bigint"), ("fee_bp", "int"), ("reason", "text"), ("stage", "text"),
        ("protected_until", "bigint"), ("updated_at", "bigint"),
    ),
    fixed=frozenset({"proposer_id", "parties", "fee_bp"}),
)  # fmt: skip
