-- Durable background work. A job is written in the transaction of its cause, and deleted when it is done, in the
-- transaction of its effect where the effect is in this database. Times are milliseconds.
CREATE TABLE jobs (
    kind text NOT NULL,
    -- What it is about; a kind has one job for a key at a time.
    key text NOT NULL,
    -- JSON, or empty.
    payload bytea NOT NULL DEFAULT '',
    -- When it may run. While it runs: when its lease ends; then another worker may take it.
    run_at bigint NOT NULL,
    created_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    -- The batch that has claimed it; NULL: it waits.
    claim uuid,
    worker text,
    -- How often it was tried, the attempt that runs included.
    attempts int NOT NULL DEFAULT 0,
    -- Why the last attempt failed.
    error text,
    -- Retries have ended: it waits for an operator.
    dead boolean NOT NULL DEFAULT false,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 80);
CREATE INDEX jobs_due ON jobs (kind, run_at) WHERE NOT dead;
CREATE INDEX jobs_claimed ON jobs (claim) WHERE claim IS NOT NULL;

-- Workers listen to the channel `jobs`; they also poll, so a lost notification delays a job and no more.
CREATE FUNCTION announce_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added WHERE run_at <= extract(epoch FROM clock_timestamp()) * 1000) THEN
        PERFORM pg_notify('jobs', '');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_added AFTER INSERT ON jobs REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION announce_jobs();
