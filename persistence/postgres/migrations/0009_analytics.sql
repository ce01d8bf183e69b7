-- What portfolios and markets are read from. All of it can be made anew from sales, settlements, refunds, provenance and copies
-- (`ece analytics rebuild`): docs/decisions/0024-figures-are-counted-anew-where-something-changed.md. Days are those of UTC, counted
-- from 1970-01-01. Sums are numeric: those of many prices may be larger than 64 bits.

-- Whoever brings the read models up to date locks this row.
CREATE TABLE analytics_progress (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- When (ms) all that was there had been taken in; NULL while they are made anew.
    caught_up_at bigint,
    -- No collection has been valued at this day's end yet, nor at a later one's.
    value_day int NOT NULL DEFAULT 0
);
INSERT INTO analytics_progress DEFAULT VALUES;

-- How far each table has been read, in the order of (writer, number, part). Rows of writers that are still at work come later.
CREATE TABLE analytics_sources (
    source text PRIMARY KEY,
    writer xid8 NOT NULL DEFAULT '0',
    number bigint NOT NULL DEFAULT 0,
    part int NOT NULL DEFAULT 0
);
INSERT INTO analytics_sources (source) VALUES ('sales'), ('settlements'), ('refunds'), ('provenance');
CREATE INDEX sales_followed ON sales (writer, sale_no);
CREATE INDEX settlements_followed ON settlements (writer, settlement_no);
CREATE INDEX refunds_followed ON refunds (writer, refund_no);
CREATE INDEX provenance_followed ON provenance (writer, copy_id, seq);

-- What they are counted anew by.
DROP INDEX sales_by_card;
CREATE INDEX sales_by_card ON sales (card_id, at, sale_no);
DROP INDEX sales_by_seller;
CREATE INDEX sales_by_seller ON sales (seller_id, at, sale_no);
CREATE INDEX settlements_by_seller_at ON settlements (seller_id, at);
CREATE INDEX provenance_by_owner ON provenance (to_owner, copy_id, seq);
CREATE INDEX copies_by_owner_card ON copies (owner_id, card_id);

-- Of sales that were not taken back.
CREATE TABLE card_days (
    card_id bigint NOT NULL,
    currency text NOT NULL,
    day int NOT NULL,
    sales int NOT NULL,
    volume numeric NOT NULL,
    open bigint NOT NULL,
    high bigint NOT NULL,
    low bigint NOT NULL,
    close bigint NOT NULL,
    PRIMARY KEY (card_id, currency, day)
) WITH (fillfactor = 80);
CREATE TABLE market_days (
    currency text NOT NULL,
    day int NOT NULL,
    sales bigint NOT NULL,
    volume numeric NOT NULL,
    cards int NOT NULL,
    PRIMARY KEY (currency, day)
) WITH (fillfactor = 50);
CREATE TABLE card_prices (
    card_id bigint NOT NULL,
    currency text NOT NULL,
    last_price bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (card_id, currency)
) WITH (fillfactor = 80);

-- The last 1, 7 and 30 days of a card that was sold in them, as of a day. `before` is the price before them, or else the first in them.
CREATE TABLE card_windows (
    card_id bigint NOT NULL,
    currency text NOT NULL,
    days int NOT NULL,
    as_of_day int NOT NULL,
    sales int NOT NULL,
    volume numeric NOT NULL,
    price bigint NOT NULL,
    before bigint NOT NULL,
    change_bp bigint,
    PRIMARY KEY (card_id, currency, days)
) WITH (fillfactor = 80);
CREATE INDEX card_windows_by_volume ON card_windows (currency, days, volume, card_id);
CREATE INDEX card_windows_by_change ON card_windows (currency, days, change_bp, card_id) WHERE change_bp IS NOT NULL;
CREATE INDEX card_windows_as_of ON card_windows (as_of_day, card_id, currency);

-- Of auctions that ended that day. Offered is what was sold or came back unsold; sold is what was not taken back.
CREATE TABLE seller_days (
    seller_id bigint NOT NULL,
    currency text NOT NULL,
    day int NOT NULL,
    auctions_offered int NOT NULL,
    auctions_sold int NOT NULL,
    copies_offered int NOT NULL,
    copies_sold int NOT NULL,
    gross numeric NOT NULL,
    fees numeric NOT NULL,
    royalties numeric NOT NULL,
    -- What the copies brought above what the seller had paid for them.
    realised numeric NOT NULL,
    PRIMARY KEY (seller_id, currency, day)
) WITH (fillfactor = 80);

-- Whose copies of what; `costed` of them were paid for, with `cost` in all.
CREATE TABLE holdings (
    owner_id bigint NOT NULL,
    card_id bigint NOT NULL,
    copies int NOT NULL,
    costed int NOT NULL,
    cost numeric NOT NULL,
    PRIMARY KEY (owner_id, card_id)
) WITH (fillfactor = 80);

-- What a collection was at the end of a day, by the last sales as they were known then. A row holds until the next one.
CREATE TABLE user_value_days (
    user_id bigint NOT NULL,
    currency text NOT NULL,
    day int NOT NULL,
    copies int NOT NULL,
    value numeric NOT NULL,
    PRIMARY KEY (user_id, currency, day)
);
-- What is to be valued once the day is over: cards that were sold, whoever has them; and whose copies changed hands.
CREATE TABLE value_cards (
    day int NOT NULL,
    card_id bigint NOT NULL,
    PRIMARY KEY (day, card_id)
);
CREATE TABLE value_owners (
    day int NOT NULL,
    owner_id bigint NOT NULL,
    PRIMARY KEY (day, owner_id)
);
