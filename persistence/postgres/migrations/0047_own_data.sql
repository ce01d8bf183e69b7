-- What users bid and bought by day, exports of their data, and the deletion of accounts. Times in milliseconds.

-- Read models, as in 0009: who has bid how often on which day in an auction that has ended, from its log; what was bought.
CREATE TABLE auction_bidders (
    auction_id bigint NOT NULL,
    ended_day int NOT NULL,
    user_id bigint NOT NULL,
    day int NOT NULL,
    bids int NOT NULL,
    PRIMARY KEY (auction_id, user_id, day)
);
CREATE INDEX auction_bidders_by_user ON auction_bidders (user_id, day) INCLUDE (bids);
CREATE INDEX auction_bidders_by_end ON auction_bidders (user_id, ended_day) INCLUDE (auction_id);
CREATE TABLE buyer_days (
    buyer_id bigint NOT NULL,
    currency text NOT NULL,
    day int NOT NULL,
    wins int NOT NULL,
    copies int NOT NULL,
    spent numeric NOT NULL,
    PRIMARY KEY (buyer_id, currency, day)
) WITH (fillfactor = 80);
CREATE INDEX settlements_by_buyer_at ON settlements (buyer_id, at) WHERE buyer_id IS NOT NULL;
INSERT INTO analytics_sources (source) VALUES ('bids');
-- What was taken in already has no bidders and buyers: it is taken in again.
UPDATE analytics_sources SET writer = '0', number = 0, part = 0 WHERE source = 'settlements';

-- A ZIP of everything about a user, in pages. One of a user at the most.
CREATE TABLE user_exports (
    export_id bigint PRIMARY KEY,
    user_id bigint NOT NULL UNIQUE REFERENCES users,
    state text NOT NULL DEFAULT 'waiting',
    requested_at bigint NOT NULL,
    finished_at bigint,
    expires_at bigint,
    bytes bigint,
    CONSTRAINT user_export_states CHECK (state IN ('waiting', 'ready', 'failed')),
    CONSTRAINT user_export_ready CHECK ((state = 'ready') = (bytes IS NOT NULL) AND (state = 'waiting') = (expires_at IS NULL))
);
CREATE TABLE user_export_pages (
    export_id bigint NOT NULL REFERENCES user_exports ON DELETE CASCADE,
    page int NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (export_id, page)
);
ALTER TABLE user_export_pages ALTER COLUMN body SET STORAGE EXTERNAL;

-- Accounts that are deleted at `due_at`, unless their users log in before.
CREATE TABLE user_deletions (
    user_id bigint PRIMARY KEY REFERENCES users,
    requested_at bigint NOT NULL,
    due_at bigint NOT NULL
);

-- Names of deleted accounts, which nobody else gets for a time: SHA-256 of their skeletons (domain/users.py).
CREATE TABLE held_names (
    skeleton_hash bytea PRIMARY KEY,
    held_until bigint NOT NULL
);
CREATE FUNCTION refuse_held_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM held_names WHERE skeleton_hash = sha256(convert_to(NEW.skeleton, 'UTF8'))
            AND held_until > extract(epoch FROM statement_timestamp()) * 1000) THEN
        RAISE unique_violation USING MESSAGE = 'this name was that of a deleted account', CONSTRAINT = 'users_skeleton';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER users_names_held BEFORE INSERT ON users
    FOR EACH ROW WHEN (NEW.skeleton IS NOT NULL) EXECUTE FUNCTION refuse_held_name();
