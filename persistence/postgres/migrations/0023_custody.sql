-- Where minted copies belong on the chain: in the vault while they are listed or in a trade, else in the wallet of their
-- owner. What changes that adds a job, in the same transaction. The job moves the asset to where it belongs when the job
-- runs, so a later change makes an earlier job, that has not begun, do the right thing.

ALTER TABLE chain_jobs ADD COLUMN moved_copy bigint;
CREATE INDEX chain_jobs_moving ON chain_jobs (moved_copy, job_id) WHERE moved_copy IS NOT NULL AND state IN ('queued', 'signed');

-- `moves` numbers the jobs of an asset. `moving_to` is the wallet to which a signed transaction sends it.
ALTER TABLE assets ADD COLUMN moves int NOT NULL DEFAULT 0, ADD COLUMN moving_to text;

CREATE FUNCTION in_vault(place text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT place IN ('listed', 'trade') $$;

CREATE FUNCTION add_move(its_copy bigint, its_number int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO chain_jobs (kind, key, moved_copy) VALUES ('move', id_text(its_copy) || '-' || its_number, its_copy)
    ON CONFLICT (kind, key) DO NOTHING
$$;

CREATE FUNCTION move_copy() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    its_state text;
    its_number int;
BEGIN
    -- The row is locked also while the asset is being minted: what ends that waits for this transaction, and then sees
    -- where the copy belongs.
    UPDATE assets SET moves = moves + 1 WHERE copy_id = NEW.copy_id RETURNING state, moves INTO its_state, its_number;
    IF its_state = 'minted' THEN
        PERFORM add_move(NEW.copy_id, its_number);
    END IF;
    RETURN NULL;
END
$$;
-- A copy that its owner withdraws, or that comes back, is moved by the withdrawal, or by who sends it.
CREATE TRIGGER copies_move AFTER UPDATE ON copies FOR EACH ROW
    WHEN (
        OLD.place <> 'withdrawn' AND NEW.place <> 'withdrawn' AND (
            in_vault(OLD.place) <> in_vault(NEW.place)
            OR (OLD.owner_id <> NEW.owner_id AND NOT in_vault(NEW.place))
        )
    ) EXECUTE FUNCTION move_copy();

CREATE FUNCTION move_minted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM copies c LEFT JOIN custodial_wallets w ON w.user_id = c.owner_id
        WHERE c.copy_id = NEW.copy_id AND (in_vault(c.place) OR w.address IS DISTINCT FROM NEW.holder)
    ) THEN
        PERFORM add_move(NEW.copy_id, NEW.moves);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER assets_move AFTER UPDATE OF state ON assets FOR EACH ROW
    WHEN (OLD.state = 'minting' AND NEW.state = 'minted') EXECUTE FUNCTION move_minted();

-- What the chain moved without us. 0 as an owner: nobody who has an account here.
ALTER TABLE provenance DROP CONSTRAINT provenance_reasons;
ALTER TABLE provenance ADD CONSTRAINT provenance_reasons
    CHECK (reason IN ('made', 'sale', 'trade', 'gift', 'refund', 'deposit', 'outside'));
