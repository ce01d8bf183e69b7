"""Which tables have data about users: what an export has of them, and what the deletion of an account does with them.

Every table of the database is in PERSONAL or in IMPERSONAL; a test compares them with information_schema, so that a new
table can't be forgotten.
"""

import msgspec

REMOVED, ANONYMISED, KEPT = "removed", "anonymised", "kept"
# Never exported, of any table.
HIDDEN = (
    "password_hash", "email_key", "skeleton", "family", "nonce", "sealed", "key_id",
    "email_sealed", "email_key_id", "event_hash", "hash", "writer",
    "raw", "message_bytes", "payer", "handles", "words", "body", "watched_until", "scan_newest", "scan_before",
    "last_signature", "last_step", "public_key", "credential_id", "key_hash", "p256dh", "auth",
    "job_key",
)  # fmt: skip


class Personal(msgspec.Struct, frozen=True):
    """A table with data about users.

    ``columns`` name users. ``export`` is the name of the file that has the rows, None where ``reason`` says why there
    is none. ``deletion`` is REMOVED, ANONYMISED or KEPT; ``reason`` says why rows are kept. ``condition``, where the
    columns are not enough, is SQL about ``t`` and the user ``$1``.
    """

    columns: tuple[str, ...]
    export: str | None
    deletion: str
    reason: str = ""
    condition: str | None = None

    def where(self) -> str:
        """SQL: whether a row ``t`` is about the user ``$1``."""
        return self.condition or " OR ".join(f"t.{column} = $1" for column in self.columns)


_BOOKS = "the books are kept: what was bought, sold and paid concerns others, too"
_LOG = "the log is a hash chain that anybody can check: it has the user's id, and the name of that time"
_DERIVED = "a read model of rows that are kept"
_ID_ONLY = "has the id alone"
_SECRETS = "secrets, or hashes of them"
_CHAIN = "what is on the chain stays there, and funds or cards may still arrive"

_OWN = "t.user_id = $1"
_OWN_ACCOUNTS = "t.account_id IN (SELECT account_id FROM ledger_accounts WHERE owner_id = $1)"
_OWN_LOG_INS = "t.family IN (SELECT family FROM log_ins WHERE user_id = $1)"
_OWN_TRADES = "t.trade_id IN (SELECT trade_id FROM trade_parties WHERE user_id = $1)"

PERSONAL = {
    "users": Personal(("user_id",), "account", ANONYMISED),
    "profiles": Personal(("user_id",), "profile", REMOVED),
    "notification_preferences": Personal(("user_id",), "notification_preferences", REMOVED),
    "follows": Personal(("follower_id", "followed_id"), "follows", REMOVED),
    "user_mutes": Personal(("user_id", "muted_id"), "mutes", REMOVED, "who has muted one is theirs", _OWN),
    "user_blocks": Personal(("user_id", "blocked_id"), "blocks", REMOVED, "who blocked one is theirs", _OWN),
    "activities": Personal(("user_id",), "activities", REMOVED),
    "log_ins": Personal(("user_id",), "log_ins", REMOVED),
    "refresh_tokens": Personal((), None, REMOVED, _SECRETS, _OWN_LOG_INS),
    "second_factors": Personal(("user_id",), "second_factor", REMOVED),
    "recovery_codes": Personal(("user_id",), None, REMOVED, _SECRETS),
    "identities": Personal(("user_id",), "identities", REMOVED),
    "passkeys": Personal(("user_id",), "passkeys", REMOVED),
    "log_in_challenges": Personal(("user_id",), None, REMOVED, _SECRETS),
    "second_factor_proofs": Personal(("user_id",), None, REMOVED, "good for minutes"),
    "api_keys": Personal(("user_id",), "api_keys", REMOVED),
    "suspensions": Personal(("user_id", "by_user"), "suspension", KEPT, "decisions of moderators, by ids", _OWN),
    "access_changes": Personal(("user_id",), None, KEPT, _ID_ONLY),
    "mail_tokens": Personal(("user_id",), None, REMOVED, _SECRETS),
    "mail_addresses": Personal(("user_id",), "mail_addresses", REMOVED),
    "mail_digests": Personal(("user_id",), None, REMOVED, "when notifications were mailed last"),
    "push_subscriptions": Personal(("user_id",), "push_subscriptions", REMOVED),
    "push_digests": Personal(("user_id",), None, REMOVED, "when notifications were pushed last"),
    "idempotency_keys": Personal(("user_id",), None, REMOVED, "answers that one has got, kept for retries"),
    "watches": Personal(("user_id",), "watches", REMOVED),
    "saved_searches": Personal(("user_id",), "saved_searches", REMOVED),
    "notifications": Personal(("user_id",), "notifications", REMOVED),
    "notification_heads": Personal(("user_id",), None, REMOVED, "the number of notifications"),
    "user_exports": Personal(("user_id",), "exports", REMOVED),
    "user_export_pages": Personal((), None, REMOVED, "the export itself", "false"),
    "user_deletions": Personal(("user_id",), "deletion", REMOVED),
    "auctions": Personal(("seller_id", "leader_id", "winner_id"), "auctions", KEPT, _LOG),
    "auction_bidders": Personal(("user_id",), "bids_by_day", KEPT, _DERIVED),
    "entity_events": Personal((), "bids", KEPT, _LOG, "false"),
    "entity_snapshots": Personal((), None, KEPT, _LOG, "false"),
    "listings": Personal(("seller_id",), "listings", KEPT, _BOOKS),
    "settlements": Personal(("seller_id", "buyer_id"), "settlements", KEPT, _BOOKS),
    "sales": Personal(("seller_id", "buyer_id"), "sales", KEPT, _BOOKS),
    "refunds": Personal(("by_operator",), "refunds_decided", KEPT, _BOOKS),
    "second_chances": Personal(("bidder_id",), "second_chances", ANONYMISED),
    "copies": Personal(("owner_id",), "copies", KEPT, "an account with copies is not deleted"),
    "holdings": Personal(("owner_id",), None, KEPT, _DERIVED),
    "provenance": Personal(("from_owner", "to_owner"), "provenance", KEPT, _BOOKS),
    "seller_days": Personal(("seller_id",), "sales_by_day", KEPT, _DERIVED),
    "buyer_days": Personal(("buyer_id",), "purchases_by_day", KEPT, _DERIVED),
    "user_value_days": Personal(("user_id",), "value_by_day", KEPT, _DERIVED),
    "value_owners": Personal(("owner_id",), None, KEPT, _ID_ONLY),
    "trades": Personal(("proposer_id",), "trades", KEPT, _LOG, _OWN_TRADES),
    "trade_parties": Personal(("user_id",), None, KEPT, _ID_ONLY),
    "trade_settlements": Personal((), "trade_settlements", KEPT, _BOOKS, _OWN_TRADES),
    "trade_copies": Personal(("giver_id", "receiver_id"), "trade_copies", KEPT, _BOOKS),
    "trade_settings": Personal(("user_id",), "trade_settings", REMOVED),
    "trade_haves": Personal(("user_id",), "trade_haves", REMOVED),
    "trade_wants": Personal(("user_id",), "trade_wants", REMOVED),
    "trade_links": Personal(("user_id",), "trade_links", REMOVED),
    "ledger_accounts": Personal(("owner_id",), "ledger_accounts", KEPT, _BOOKS),
    "ledger_transfers": Personal((), "ledger", KEPT, _BOOKS, "false"),
    "ledger_holds": Personal((), "ledger_holds", KEPT, "an account with holds is not deleted", _OWN_ACCOUNTS),
    "ledger_withdrawals": Personal(("user_id", "decided_by"), "withdrawals", KEPT, _BOOKS),
    "chain_deposits": Personal(("user_id",), "chain_deposits", KEPT, _CHAIN),
    "card_withdrawals": Personal(("user_id",), "card_withdrawals", KEPT, _CHAIN),
    "custodial_wallets": Personal(("user_id",), "custodial_wallets", KEPT, _CHAIN),
    "linked_wallets": Personal(("user_id",), "linked_wallets", REMOVED),
    "wallet_challenges": Personal(("user_id",), None, REMOVED, "good for minutes"),
    "swaps": Personal(("proposer_id", "counterparty_id"), "swaps", KEPT, _CHAIN),
    "mints": Personal(("requester_id",), "mints", KEPT, _CHAIN),
    "cards": Personal(("creator_id",), "cards_created", KEPT, "cards belong to the catalog"),
    "content": Personal(("created_by",), "uploads", ANONYMISED),
    "audit_entries": Personal(
        ("actor_id",), "audit", KEPT, "the audit trail is only added to", "t.actor_id = $1 OR t.subject = id_text($1)"
    ),
}  # fmt: skip

# No row says anything about a user, or only by the id of one of the rows above.
IMPERSONAL = frozenset(
    (
        "analytics_progress", "analytics_sources", "anchor_leaves", "anchors", "assets", "audit_chain", "audit_checks",
        "audit_pending",
        "card_days", "card_fingerprints", "card_market", "card_prices", "card_sample", "card_sets", "card_windows",
        "card_words", "catalog_changes", "chain_genesis", "chain_jobs", "chain_transactions", "cluster", "collections",
        "content_copies", "data_keys",
        "dedicated", "entities", "held_names", "hosts", "jobs", "ledger_currencies", "listed_copies",
        "market_days", "migrations", "minting_actors", "node_drains", "nonce_accounts", "seller_tiers",
        "settlement_failures", "signing_keys", "slot_wishes", "slots", "swap_copies", "trade_items", "unanchored",
        "value_cards",
    )
)  # fmt: skip
