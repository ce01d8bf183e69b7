-- What an auction's opening and end cause are jobs, written in the transaction that says so: `notify` with the keys
-- `opened:<id>`, `ending:<id>` and `ended:<id>`, and `settle` with the auction's id.
CREATE FUNCTION add_auction_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    IF NEW.status = 'open' THEN
        INSERT INTO jobs (kind, key, run_at) VALUES ('notify', 'opened:' || id_text(NEW.auction_id), now_ms)
        ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO jobs (kind, key, run_at)
        VALUES ('settle', id_text(NEW.auction_id), now_ms), ('notify', 'ended:' || id_text(NEW.auction_id), now_ms)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER auction_opened ON auctions;
DROP TRIGGER auction_changed ON auctions;
CREATE TRIGGER auction_added AFTER INSERT ON auctions
    FOR EACH ROW WHEN (NEW.status IN ('open', 'closed', 'cancelled')) EXECUTE FUNCTION add_auction_jobs();
CREATE TRIGGER auction_changed AFTER UPDATE ON auctions
    FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.status IN ('open', 'closed', 'cancelled'))
    EXECUTE FUNCTION add_auction_jobs();

INSERT INTO jobs (kind, key, run_at) SELECT 'notify', stage || ':' || id_text(auction_id), due_at FROM auction_tidings;
DROP TABLE auction_tidings;
DROP FUNCTION note_auction_tiding;

INSERT INTO jobs (kind, key, run_at) SELECT 'settle', id_text(auction_id), 0 FROM auctions
    WHERE status IN ('closed', 'cancelled') AND settlement IN ('due', 'paid');
-- Nobody looks for due settlements by slot any more.
DROP INDEX auctions_to_settle;
