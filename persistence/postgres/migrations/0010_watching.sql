-- What users watch and look for, and what they are told of it. Times are milliseconds.

-- The text of an id: see domain/ids.py.
CREATE FUNCTION id_text(id bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT string_agg(substr('0123456789abcdefghijklmnopqrstuv', (id >> (5 * place) & 31)::int + 1, 1), ''
        ORDER BY place DESC)
    FROM generate_series(0, 12) AS place
$$;

CREATE TABLE watches (
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL,
    -- An auction or a card.
    target_id bigint NOT NULL,
    -- The order of the list.
    watch_id bigint NOT NULL DEFAULT next_id(),
    at bigint NOT NULL,
    PRIMARY KEY (user_id, kind, target_id),
    CONSTRAINT watch_kinds CHECK (kind IN ('auction', 'card'))
);
CREATE UNIQUE INDEX watches_by_user ON watches (user_id, watch_id);
CREATE INDEX watches_by_target ON watches (target_id, kind, user_id);

-- The filters of the catalog's pages, kept. What is NULL or empty asks for nothing.
CREATE TABLE saved_searches (
    search_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL REFERENCES users,
    name text NOT NULL,
    alerts boolean NOT NULL,
    at bigint NOT NULL,
    q text NOT NULL,
    -- `q` as it is looked for.
    words tsquery,
    set_code text,
    rarity text,
    -- Names and values, as in cards.
    traits jsonb NOT NULL DEFAULT '{}',
    min_price bigint,
    max_price bigint,
    status text,
    -- A card that the search finds has at least one of these (card_handles): so a card finds its searches.
    handles text[] NOT NULL
);
CREATE INDEX saved_searches_by_user ON saved_searches (user_id, search_id);
CREATE INDEX saved_searches_handles ON saved_searches USING gin (handles) WITH (fastupdate = off) WHERE alerts;

-- By what searches take hold of a card: the first three letters of each of its words, its set, rarity and traits.
CREATE FUNCTION card_handles(document tsvector, set_code text, rarity text, traits jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT DISTINCT 'w:' || left(word, 3) FROM unnest(tsvector_to_array(document)) AS word
        UNION ALL SELECT 't:' || key || ':' || value FROM jsonb_each_text(traits)
        UNION ALL SELECT unnest(ARRAY['s:' || set_code, 'r:' || rarity]))
$$;

-- How many notifications each user has had: the place of their channel.
CREATE TABLE notification_heads (
    user_id bigint PRIMARY KEY,
    seq bigint NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE notifications (
    user_id bigint NOT NULL,
    -- 1, 2, 3, … for each user.
    seq bigint NOT NULL,
    notification_id bigint NOT NULL DEFAULT next_id(),
    kind text NOT NULL,
    -- Nobody is told the same twice.
    about text NOT NULL,
    data jsonb NOT NULL,
    at bigint NOT NULL,
    read_at bigint,
    PRIMARY KEY (user_id, seq),
    UNIQUE (user_id, about)
) WITH (fillfactor = 80);
CREATE INDEX notifications_unread ON notifications (user_id, seq) WHERE read_at IS NULL;
CREATE INDEX notifications_by_id ON notifications (notification_id);

-- What is still to be told of auctions. The row of an opening or an end commits together with the opening or the end
-- itself, whoever writes it; whoever tells takes it away in the transaction that writes the notifications. So none is
-- missed, and nothing has to be searched for.
CREATE TABLE auction_tidings (
    auction_id bigint NOT NULL,
    -- opened, ending or ended.
    stage text NOT NULL,
    due_at bigint NOT NULL,
    PRIMARY KEY (auction_id, stage)
) WITH (fillfactor = 80);
CREATE INDEX auction_tidings_due ON auction_tidings (due_at, auction_id);

CREATE FUNCTION note_auction_tiding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO auction_tidings (auction_id, stage, due_at)
    VALUES (NEW.auction_id, CASE NEW.status WHEN 'open' THEN 'opened' ELSE 'ended' END, 0)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER auction_opened AFTER INSERT ON auctions
    FOR EACH ROW WHEN (NEW.status = 'open') EXECUTE FUNCTION note_auction_tiding();
CREATE TRIGGER auction_changed AFTER UPDATE ON auctions
    FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.status IN ('open', 'closed', 'cancelled'))
    EXECUTE FUNCTION note_auction_tiding();

-- Of those that are open already their ends can still be told.
INSERT INTO auction_tidings (auction_id, stage, due_at)
    SELECT auction_id, 'ending', ends_at - 900000 FROM auctions WHERE status = 'open';
