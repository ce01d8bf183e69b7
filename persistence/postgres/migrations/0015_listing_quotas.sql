-- What counts towards a seller's quotas: what was listed lately, what is live, and what asked for a host of its own.

ALTER TABLE listings ADD COLUMN dedicated boolean NOT NULL DEFAULT false;
CREATE INDEX listings_by_seller ON listings (seller_id, listed_at);
CREATE INDEX listings_dedicated ON listings (seller_id) WHERE dedicated;
CREATE INDEX auctions_live_by_seller ON auctions (seller_id) WHERE status IN ('scheduled', 'open');
