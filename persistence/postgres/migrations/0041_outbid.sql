-- Who led an auction and was outbid is notified some seconds later, if they do not lead again by then. Hosts wait for
-- this insert, so it is small; users that benches and replays act as are left out.
CREATE FUNCTION add_outbid_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (kind, key, run_at)
    SELECT 'notify_outbid', id_text(NEW.auction_id) || ':' || id_text(user_id),
        (extract(epoch FROM statement_timestamp()) * 1000)::bigint + 5000
    FROM users WHERE user_id = OLD.leader_id AND email NOT LIKE '%@provisioned.invalid'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER auction_outbid AFTER UPDATE ON auctions
    FOR EACH ROW WHEN (OLD.leader_id <> NEW.leader_id AND NEW.status = 'open') EXECUTE FUNCTION add_outbid_job();
