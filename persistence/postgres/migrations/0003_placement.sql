-- Many hosts on many nodes: auctions with a host of their own, what hosts say of themselves, and operators' wishes.

ALTER TABLE hosts
    -- The Ray node that it runs on.
    ADD COLUMN node text NOT NULL DEFAULT '',
    -- How it is doing, with the last heartbeat (actors/vitals.py).
    ADD COLUMN vitals jsonb NOT NULL DEFAULT '{}';

-- Auctions that are not kept with their slot. Where host_id is NULL: until when (ms) the last keeper was alive.
CREATE TABLE dedicated (
    auction_id bigint PRIMARY KEY,
    slot int NOT NULL,
    host_id text REFERENCES hosts,
    kept_until bigint
);
CREATE INDEX dedicated_by_host ON dedicated (host_id);
CREATE INDEX dedicated_by_slot ON dedicated (slot);

-- What operators want: the director sees to it.
CREATE TABLE node_drains (
    node text PRIMARY KEY,
    asked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE slot_wishes (
    slot int PRIMARY KEY,
    host_id text NOT NULL
);
