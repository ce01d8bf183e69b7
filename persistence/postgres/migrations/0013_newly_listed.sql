-- What is for sale, the newest first.
CREATE INDEX card_market_listed ON card_market (listed_at_last, card_id) WHERE open_auctions > 0;
