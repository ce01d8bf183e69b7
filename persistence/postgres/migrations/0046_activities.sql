-- Public acts of users, for their profiles and for the feeds of those who follow them: written in the transaction of the
-- act, by triggers, so that none is missed. Readers decide who may see which kind (persistence/profiles/activities.py).
-- Times in milliseconds.
CREATE TABLE activities (
    activity_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL,
    -- An auction, a trade, an order of mints, or a user.
    subject_id bigint NOT NULL,
    at bigint NOT NULL DEFAULT (extract(epoch FROM statement_timestamp()) * 1000)::bigint,
    CONSTRAINT activity_kinds CHECK (kind IN ('listed', 'sold', 'won', 'minted', 'traded', 'followed'))
);
CREATE INDEX activities_by_user ON activities (user_id, activity_id) INCLUDE (kind);
CREATE UNIQUE INDEX activities_once ON activities (user_id, kind, subject_id);

-- Users that are not in the table (of tests, and of benches without accounts) have no activities.
CREATE FUNCTION add_activity(its_user bigint, its_kind text, its_subject bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO activities (user_id, kind, subject_id)
    SELECT user_id, its_kind, its_subject FROM users WHERE user_id = its_user ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION listed_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM add_activity(NEW.seller_id, 'listed', NEW.auction_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER auction_added_activity AFTER INSERT ON auctions
    FOR EACH ROW WHEN (NEW.status = 'open') EXECUTE FUNCTION listed_activity();
CREATE TRIGGER auction_opened_activity AFTER UPDATE ON auctions
    FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.status = 'open') EXECUTE FUNCTION listed_activity();

CREATE FUNCTION sold_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM add_activity(NEW.seller_id, 'sold', NEW.auction_id);
    PERFORM add_activity(NEW.buyer_id, 'won', NEW.auction_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER settlement_activity AFTER INSERT ON settlements
    FOR EACH ROW WHEN (NEW.outcome = 'sold') EXECUTE FUNCTION sold_activity();

-- A sale that was taken back did not happen.
CREATE FUNCTION refund_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM activities a USING settlements s
        WHERE s.auction_id = NEW.auction_id AND s.round = NEW.round AND a.subject_id = NEW.auction_id
            AND (a.user_id, a.kind) IN ((s.seller_id, 'sold'), (s.buyer_id, 'won'));
    RETURN NULL;
END
$$;
CREATE TRIGGER refund_activity AFTER INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION refund_activity();

-- An execution without copies was one of money alone: there is none. A trade that was reversed did not happen.
CREATE FUNCTION trade_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'execution' THEN
        PERFORM add_activity(user_id, 'traded', NEW.trade_id)
            FROM trade_parties WHERE trade_id = NEW.trade_id ORDER BY user_id;
    ELSE
        DELETE FROM activities a USING trade_parties p
            WHERE p.trade_id = NEW.trade_id AND a.user_id = p.user_id AND a.kind = 'traded'
                AND a.subject_id = NEW.trade_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER trade_activity AFTER INSERT ON trade_settlements
    FOR EACH ROW WHEN (NEW.code IS NULL) EXECUTE FUNCTION trade_activity();

CREATE FUNCTION minted_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM add_activity(NEW.requester_id, 'minted', NEW.mint_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER mint_activity AFTER UPDATE ON mints
    FOR EACH ROW WHEN (NEW.done = NEW.total AND OLD.done < NEW.total) EXECUTE FUNCTION minted_activity();

CREATE FUNCTION follow_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_activity(NEW.follower_id, 'followed', NEW.followed_id);
    ELSE
        DELETE FROM activities
            WHERE user_id = OLD.follower_id AND kind = 'followed' AND subject_id = OLD.followed_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER follow_activity AFTER INSERT OR DELETE ON follows
    FOR EACH ROW EXECUTE FUNCTION follow_activity();
