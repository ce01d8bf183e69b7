-- What is locked for a trade is free as soon as the trade has ended: in the transaction that appends its end to the log.
-- Until now its host unlocked the copies afterwards, and the parties, who had been told of the end, had to wait for it.
CREATE FUNCTION free_copies_of_ended_trades() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ended bigint[] := ARRAY(SELECT trade_id FROM changed WHERE status NOT IN ('open', 'agreed', 'confirmed'));
BEGIN
    IF ended <> '{}' THEN
        -- In the order of their ids, as everywhere.
        WITH ordered AS MATERIALIZED (
            SELECT copy_id FROM copies WHERE locked_by = ANY(ended) AND place = 'trade'
            ORDER BY copy_id FOR NO KEY UPDATE
        )
        UPDATE copies c SET place = 'free', locked_by = NULL, locked_at = NULL
        FROM ordered o WHERE c.copy_id = o.copy_id AND c.place = 'trade' AND c.locked_by = ANY(ended);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER trades_ended AFTER UPDATE ON trades REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION free_copies_of_ended_trades();

-- What a host that died before this version has left.
UPDATE copies c SET place = 'free', locked_by = NULL, locked_at = NULL FROM trades t
WHERE c.place = 'trade' AND t.trade_id = c.locked_by AND t.status NOT IN ('open', 'agreed', 'confirmed');
