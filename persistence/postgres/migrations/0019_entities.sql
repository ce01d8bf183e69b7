-- The log, snapshots and due times are of entities of any kind; auctions are one.

ALTER TABLE auction_events RENAME TO entity_events;
ALTER TABLE entity_events RENAME COLUMN auction_id TO entity_id;
ALTER TABLE entity_events ADD COLUMN kind text NOT NULL DEFAULT 'auction';
ALTER TABLE entity_events ALTER COLUMN kind DROP DEFAULT;
ALTER INDEX auction_events_command_key RENAME TO entity_events_command_key;
ALTER INDEX auction_events_pkey RENAME TO entity_events_pkey;
ALTER TABLE auction_events_other RENAME TO entity_events_other;

CREATE OR REPLACE FUNCTION ensure_event_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(4_537_001);
    FOR i IN 0..2 LOOP
        month := date_trunc('month', now(), 'UTC') + make_interval(months => i);
        name := 'entity_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF entity_events FOR VALUES FROM (%s) TO (%s)',
                    name, first_id_at(month), first_id_at(month + interval '1 month'));
            EXCEPTION WHEN check_violation THEN
                -- Nobody called this for months: that month's rows are in the default partition, and stay there.
                RAISE WARNING 'no partition %: its rows are in entity_events_other', name;
            END;
        END IF;
    END LOOP;
END
$$;
DO $$
DECLARE
    part text;
BEGIN
    FOR part IN SELECT relid::regclass::text FROM pg_partition_tree('entity_events')
        WHERE relid::regclass::text LIKE 'auction\_events\_2%' LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', part, replace(part, 'auction_', 'entity_'));
    END LOOP;
END
$$;

ALTER TABLE auction_snapshots RENAME TO entity_snapshots;
ALTER TABLE entity_snapshots RENAME COLUMN auction_id TO entity_id;
ALTER TABLE entity_snapshots ADD COLUMN kind text NOT NULL DEFAULT 'auction';
ALTER TABLE entity_snapshots ALTER COLUMN kind DROP DEFAULT;
-- Their encoding has changed; the log has all that they have.
DELETE FROM entity_snapshots;

-- Every entity, and when time alone changes it next. Follows the log as the summary rows of the kinds do.
CREATE TABLE entities (
    entity_id bigint PRIMARY KEY,
    kind text NOT NULL,
    slot int NOT NULL,
    due_at bigint,
    ended boolean NOT NULL,
    epoch int NOT NULL,
    seq bigint NOT NULL
) WITH (fillfactor = 80);
INSERT INTO entities (entity_id, kind, slot, due_at, ended, epoch, seq)
    SELECT auction_id, 'auction', slot, due_at, status IN ('closed', 'cancelled'), epoch, seq FROM auctions;
CREATE INDEX entities_due ON entities (slot) WHERE due_at IS NOT NULL;
CREATE INDEX entities_by_kind ON entities (kind, entity_id);

ALTER TABLE auctions DROP COLUMN slot, DROP COLUMN due_at;

ALTER TABLE dedicated RENAME COLUMN auction_id TO entity_id;
ALTER TABLE dedicated RENAME COLUMN kept_until TO owned_until;
ALTER TABLE slots RENAME COLUMN kept_until TO owned_until;
ALTER TABLE hosts RENAME COLUMN vitals TO load_report;

-- What sales and listings ask of the log.
CREATE FUNCTION is_logged(entity bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM entity_events WHERE entity_id = entity)
$$;
CREATE FUNCTION event_hash(entity bigint, at_seq bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT hash FROM entity_events WHERE entity_id = entity AND seq = at_seq
$$;
CREATE FUNCTION last_event_hash(entity bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT hash FROM entity_events WHERE entity_id = entity ORDER BY seq DESC LIMIT 1
$$;
