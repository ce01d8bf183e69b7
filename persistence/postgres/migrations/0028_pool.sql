-- Claims read assets and collections by their jobs, and deleting a job looks for them.
CREATE INDEX assets_by_job ON assets (job_id);
CREATE INDEX collections_by_job ON collections (job_id);

-- What each minting actor has counted since its start, and how its RPC servers stand, as JSON.
ALTER TABLE minting_actors
    ADD COLUMN counts jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN endpoints jsonb NOT NULL DEFAULT '[]';

-- The chain that this database belongs to: the first one that was ever used with it. One row at most.
CREATE TABLE chain_genesis (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The hash of its genesis, in base58.
    genesis text NOT NULL,
    pinned_at bigint NOT NULL
);

-- Without a chain nothing is noted, since nobody would ever read it. What has ended before a database gets its chain is
-- noted then (persistence/chain/genesis.py).
CREATE OR REPLACE FUNCTION note_unanchored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unanchored (entity_id, since)
        SELECT NEW.entity_id, (extract(epoch FROM statement_timestamp()) * 1000)::bigint FROM chain_genesis;
    RETURN NULL;
END
$$;
DELETE FROM unanchored;
