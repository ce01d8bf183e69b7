-- What an auction's opening and end cause are jobs, written in the transaction that says so: `notify` with the keys
-- `opened:<id>`, `ending:<id>` and `ended:<id>`, and `settle` with the auction's id.
-- The same text as before, without an aggregate: hosts wait for it at each opening and end.
CREATE OR REPLACE FUNCTION id_text(id bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT substr('0123456789abcdefghijklmnopqrstuv', (id >> 60 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 55 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 50 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 45 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 40 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 35 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 30 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 25 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 20 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 15 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 10 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 5 & 31)::int + 1, 1)
        || substr('0123456789abcdefghijklmnopqrstuv', (id >> 0 & 31)::int + 1, 1)
$$;

CREATE FUNCTION add_auction_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    auction text := id_text(NEW.auction_id);
    now_ms bigint := extract(epoch FROM statement_timestamp()) * 1000;
BEGIN
    IF NEW.status = 'open' THEN
        INSERT INTO jobs (kind, key, run_at) VALUES ('notify', 'opened:' || auction, now_ms) ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO jobs (kind, key, run_at)
        VALUES ('settle', auction, now_ms), ('notify', 'ended:' || auction, now_ms) ON CONFLICT DO NOTHING;
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
