-- Nobody is notified of a confirmation (domain/trade/notices.py): it adds no such job.
CREATE OR REPLACE FUNCTION add_trade_jobs(trade bigint, its_status text, its_seq bigint, after_seq bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO jobs (kind, key, run_at, payload)
    SELECT kind, id_text(trade) || ':' || its_seq, extract(epoch FROM statement_timestamp()) * 1000, payload
    FROM (
        VALUES (CASE WHEN after_seq IS NOT NULL THEN 'notify_trade' END,
                convert_to(format('{"after": %s}', after_seq), 'UTF8')),
            (CASE its_status WHEN 'confirmed' THEN 'execute_trade' WHEN 'reversing' THEN 'reverse_trade' END, ''::bytea)
    ) AS work (kind, payload)
    WHERE kind IS NOT NULL
    ON CONFLICT DO NOTHING
$$;

CREATE OR REPLACE FUNCTION follow_changed_trade() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    pending boolean := NEW.status IN ('open', 'agreed', 'confirmed');
BEGIN
    IF NOT pending THEN
        DELETE FROM trade_items WHERE trade_id = NEW.trade_id;
    ELSIF NEW.copies <> OLD.copies THEN
        DELETE FROM trade_items
            WHERE trade_id = NEW.trade_id AND NOT copy_id = ANY(string_to_array(NEW.copies, ',')::bigint[]);
        INSERT INTO trade_items SELECT copy_id::bigint, NEW.trade_id
            FROM string_to_table(nullif(NEW.copies, ''), ',') AS copy_id ON CONFLICT DO NOTHING;
    END IF;
    PERFORM add_trade_jobs(NEW.trade_id, nullif(NEW.status, OLD.status), NEW.seq,
        CASE WHEN OLD.status = 'agreed' AND NEW.status = 'confirmed' THEN NULL ELSE OLD.seq END);
    RETURN NULL;
END
$$;
