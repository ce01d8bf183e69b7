-- What becomes of an auction that has ended: the money, the copies, and who has been told. Amounts are base units, times
-- milliseconds, shares hundredths of a percent (basis points).

-- What the house takes of a sale goes by the seller's tier, as it is when the auction is listed.
CREATE TABLE seller_tiers (
    tier text PRIMARY KEY,
    fee_bp int NOT NULL,
    CONSTRAINT seller_tier_names CHECK (tier ~ '^[a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT seller_tier_fees CHECK (fee_bp BETWEEN 0 AND 5000)
);
INSERT INTO seller_tiers VALUES ('standard', 500), ('silver', 400), ('gold', 300);
ALTER TABLE users ADD COLUMN seller_tier text NOT NULL DEFAULT 'standard' REFERENCES seller_tiers;

-- What an auction is of, and on which fee. Written before the auction exists; stays when it has ended.
CREATE TABLE listings (
    auction_id bigint PRIMARY KEY,
    seller_id bigint NOT NULL,
    fee_bp int NOT NULL,
    listed_at bigint NOT NULL
);
CREATE TABLE listed_copies (
    auction_id bigint NOT NULL,
    copy_id bigint NOT NULL,
    card_id bigint NOT NULL,
    PRIMARY KEY (auction_id, copy_id)
);
CREATE INDEX listed_copies_by_card ON listed_copies (card_id, auction_id);

-- Since when a copy is locked: one that is locked for an auction which never came to be is freed again.
ALTER TABLE copies ADD COLUMN locked_at bigint,
    ADD CONSTRAINT copy_locked_since CHECK ((locked_at IS NULL) = (locked_by IS NULL));

-- How far it is, once the auction has ended: `due`; `paid` (money and copies have changed hands); `done` (the auction's log
-- says so, too); `failed` (the winner could not pay, or the like: an operator has to look). Written apart from the rest of
-- the row, which follows the log.
ALTER TABLE auctions ADD COLUMN settlement text NOT NULL DEFAULT 'due',
    ADD CONSTRAINT auction_settlements CHECK (settlement IN ('due', 'paid', 'done', 'failed'));
-- What ended before there was a settlement is done with, but for that which money is held for.
UPDATE auctions SET settlement = 'done' WHERE status IN ('closed', 'cancelled') AND NOT EXISTS (
    SELECT FROM ledger_holds WHERE reference = convert_to('auction:', 'UTF8') || int8send(auction_id));
CREATE INDEX auctions_to_settle ON auctions (slot, auction_id)
    WHERE status IN ('closed', 'cancelled') AND settlement IN ('due', 'paid');
CREATE INDEX auctions_not_settled ON auctions (auction_id) WHERE settlement = 'failed';

-- What each ended auction came to. Round 1 is its own end, round 2 the second chance of the runner-up, after the sale of
-- round 1 was cancelled. `event_seq` and `event_hash` are those of the event that closed it.
CREATE TABLE settlements (
    auction_id bigint NOT NULL,
    round smallint NOT NULL,
    outcome text NOT NULL,
    at bigint NOT NULL,
    seller_id bigint NOT NULL,
    buyer_id bigint,
    currency text NOT NULL,
    price bigint NOT NULL,
    fee bigint NOT NULL,
    royalties bigint NOT NULL,
    copies int NOT NULL,
    -- Who was paid what: [[kind, user id or 0 for the house, amount], ...].
    legs jsonb NOT NULL DEFAULT '[]',
    event_seq bigint NOT NULL,
    event_hash bytea NOT NULL,
    -- In the order of writing; with the transaction that wrote it, for whoever follows this table: a later number may be
    -- committed before an earlier one.
    settlement_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (auction_id, round),
    CONSTRAINT settlement_outcomes CHECK (outcome IN ('sold', 'unsold', 'cancelled')),
    CONSTRAINT settlement_buyers CHECK ((outcome = 'sold') = (buyer_id IS NOT NULL)),
    CONSTRAINT settlement_rounds CHECK (round = 1 OR (round = 2 AND outcome = 'sold')),
    CONSTRAINT settlement_sums CHECK (fee >= 0 AND royalties >= 0 AND fee + royalties <= price)
);
CREATE INDEX settlements_by_seller ON settlements (seller_id, settlement_no);
CREATE INDEX settlements_by_buyer ON settlements (buyer_id, settlement_no) WHERE buyer_id IS NOT NULL;
CREATE TRIGGER settlements_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- Why the last attempt came to nothing.
CREATE TABLE settlement_failures (
    auction_id bigint PRIMARY KEY,
    code text NOT NULL,
    detail text NOT NULL,
    at bigint NOT NULL,
    attempts int NOT NULL DEFAULT 1
);

-- Sales that a moderator took back: the money went the other way, leg by leg.
CREATE TABLE refunds (
    auction_id bigint NOT NULL,
    round smallint NOT NULL,
    at bigint NOT NULL,
    by_operator bigint NOT NULL,
    reason text NOT NULL,
    refund_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (auction_id, round),
    FOREIGN KEY (auction_id, round) REFERENCES settlements
);
CREATE TRIGGER refunds_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON refunds
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- What the runner-up is offered then, at the most that they had bid. While it stands the copies stay locked.
CREATE TABLE second_chances (
    auction_id bigint PRIMARY KEY,
    bidder_id bigint NOT NULL,
    bidder_name text NOT NULL,
    price bigint NOT NULL,
    state text NOT NULL DEFAULT 'offered',
    offered_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    decided_at bigint,
    CONSTRAINT second_chance_states CHECK (state IN ('offered', 'accepted', 'declined', 'expired')),
    CONSTRAINT second_chance_decided CHECK ((state = 'offered') = (decided_at IS NULL))
);
CREATE INDEX second_chances_by_bidder ON second_chances (bidder_id, auction_id);
CREATE INDEX second_chances_expiring ON second_chances (expires_at) WHERE state = 'offered';

-- The rounds, and who wrote a row, for those who follow these tables. They were empty until now.
ALTER TABLE sales ADD COLUMN round smallint NOT NULL DEFAULT 1,
    ADD COLUMN writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
    DROP CONSTRAINT sales_pkey,
    ADD PRIMARY KEY (auction_id, round, copy_id);
CREATE TRIGGER sales_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON sales
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE provenance ADD COLUMN writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
    DROP CONSTRAINT provenance_reasons,
    ADD CONSTRAINT provenance_reasons CHECK (reason IN ('made', 'sale', 'trade', 'gift', 'refund'));
