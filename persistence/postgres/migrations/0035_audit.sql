-- Who did what from where. Entries are inserted by many transactions at once, without a chain; a job chains them in
-- batches, so that no act waits for another. Times are milliseconds.
CREATE TABLE audit_entries (
    entry_id bigint PRIMARY KEY DEFAULT next_id(),
    at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    action text NOT NULL,
    -- NULL: nobody who is known, or a command line.
    actor_id bigint,
    actor text,
    -- What it was done to: an id, a name, or empty.
    subject text NOT NULL,
    address text,
    request_id text,
    -- JSON, as text: what is hashed is what is stored.
    details text NOT NULL
);
CREATE INDEX audit_entries_by_actor ON audit_entries (actor_id, entry_id);
CREATE INDEX audit_entries_by_action ON audit_entries (action, entry_id);
CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- Entries that are not chained yet.
CREATE TABLE audit_pending (entry_id bigint PRIMARY KEY);
CREATE FUNCTION audit_pend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending VALUES (NEW.entry_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_entries_pend AFTER INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_pend();

-- The chain: `hash` is that of the hash before, the position and the entry (domain/audit.py). Positions begin at 1.
CREATE TABLE audit_chain (
    position bigint PRIMARY KEY,
    entry_id bigint NOT NULL UNIQUE,
    hash bytea NOT NULL
);
CREATE TRIGGER audit_chain_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
