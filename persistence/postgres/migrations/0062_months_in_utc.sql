-- Months of partitions begin in UTC: a month is added by the time zone of the session, which an external server may set to
-- another one. Its months had gaps, and overlapped: then no host could start.

CREATE OR REPLACE FUNCTION ensure_event_partitions() RETURNS void LANGUAGE plpgsql SET timezone = 'UTC' AS $$
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
            EXCEPTION WHEN check_violation OR invalid_object_definition THEN
                -- Nobody called this for months, or a partition of an earlier version reaches into this month: its rows are
                -- in the default partition, and stay there.
                RAISE WARNING 'no partition %: its rows are in entity_events_other', name;
            END;
        END IF;
    END LOOP;
END
$$;
