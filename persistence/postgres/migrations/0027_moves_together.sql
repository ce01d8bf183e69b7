-- The copies of a trade are moved on the chain by one transaction, where they fit: all of them, or none.

-- Jobs with the same number are for one transaction.
ALTER TABLE chain_jobs ADD COLUMN together bigint;
CREATE INDEX chain_jobs_together ON chain_jobs (together) WHERE together IS NOT NULL AND state = 'queued';

DROP FUNCTION add_move(bigint, int);
CREATE FUNCTION add_move(its_copy bigint, its_number int, its_trade bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO chain_jobs (kind, key, moved_copy, together)
    VALUES ('move', id_text(its_copy) || '-' || its_number, its_copy, its_trade) ON CONFLICT (kind, key) DO NOTHING
$$;

CREATE OR REPLACE FUNCTION move_copy() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    its_state text;
    its_number int;
    its_trade bigint;
BEGIN
    -- The row is locked also while the asset is being minted: what ends that waits for this transaction, and then sees
    -- where the copy belongs.
    UPDATE assets SET moves = moves + 1 WHERE copy_id = NEW.copy_id RETURNING state, moves INTO its_state, its_number;
    IF its_state = 'minted' THEN
        SELECT source_id INTO its_trade FROM provenance
            WHERE copy_id = NEW.copy_id AND seq = NEW.provenance_seq AND reason = 'trade' AND NEW.owner_id <> OLD.owner_id;
        PERFORM add_move(NEW.copy_id, its_number, its_trade);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION move_minted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM copies c LEFT JOIN custodial_wallets w ON w.user_id = c.owner_id
        WHERE c.copy_id = NEW.copy_id AND (in_vault(c.place) OR w.address IS DISTINCT FROM NEW.holder)
    ) THEN
        PERFORM add_move(NEW.copy_id, NEW.moves, NULL);
    END IF;
    RETURN NULL;
END
$$;
