-- Profiles, preferences, follows and mutes of users. Times in milliseconds.

CREATE TABLE profiles (
    user_id bigint PRIMARY KEY REFERENCES users,
    display_name text,
    bio text,
    -- An uploaded image.
    avatar text REFERENCES content,
    -- What was set; the defaults are in the code.
    preferences jsonb NOT NULL DEFAULT '{}'
);

-- Where a row is missing, the defaults of the kind hold (persistence/notifications/preferences.py).
CREATE TABLE notification_preferences (
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL,
    in_app boolean NOT NULL,
    email boolean NOT NULL,
    PRIMARY KEY (user_id, kind)
);

CREATE TABLE follows (
    follower_id bigint NOT NULL REFERENCES users,
    followed_id bigint NOT NULL REFERENCES users,
    -- The order of the lists.
    follow_id bigint NOT NULL DEFAULT next_id(),
    at bigint NOT NULL,
    PRIMARY KEY (follower_id, followed_id),
    CONSTRAINT follows_of_others CHECK (follower_id <> followed_id)
);
CREATE UNIQUE INDEX follows_by_follower ON follows (follower_id, follow_id);
CREATE UNIQUE INDEX follows_by_followed ON follows (followed_id, follow_id);

CREATE TABLE user_mutes (
    user_id bigint NOT NULL REFERENCES users,
    muted_id bigint NOT NULL REFERENCES users,
    at bigint NOT NULL,
    PRIMARY KEY (user_id, muted_id),
    CONSTRAINT mutes_of_others CHECK (user_id <> muted_id)
);

-- Follows and blocks of the same two users wait for each other.
CREATE FUNCTION lock_pair(one bigint, other bigint) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(least(one, other) || ' ' || greatest(one, other), 37))
$$;

-- A block ends follows both ways.
CREATE FUNCTION end_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_pair(NEW.user_id, NEW.blocked_id);
    DELETE FROM follows WHERE (follower_id, followed_id)
        IN ((NEW.user_id, NEW.blocked_id), (NEW.blocked_id, NEW.user_id));
    RETURN NULL;
END
$$;
CREATE TRIGGER user_blocks_end_follows AFTER INSERT ON user_blocks FOR EACH ROW EXECUTE FUNCTION end_follows();

-- As before, but nothing for users who have turned this kind off.
CREATE OR REPLACE FUNCTION notify_user(its_user bigint, its_kind text, its_about text, its_data jsonb, now_ms bigint)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    its_seq bigint;
BEGIN
    IF EXISTS (SELECT FROM notification_preferences WHERE user_id = its_user AND kind = its_kind AND NOT in_app) THEN
        RETURN;
    END IF;
    -- The row of the head comes first: two that notify the same user wait for each other there.
    INSERT INTO notification_heads (user_id, seq) VALUES (its_user, 1)
        ON CONFLICT (user_id) DO UPDATE SET seq = notification_heads.seq + 1 RETURNING seq INTO its_seq;
    IF EXISTS (SELECT FROM notifications WHERE user_id = its_user AND about = its_about) THEN
        UPDATE notification_heads SET seq = seq - 1 WHERE user_id = its_user;
    ELSE
        INSERT INTO notifications (user_id, seq, kind, about, data, at)
            VALUES (its_user, its_seq, its_kind, its_about, its_data, now_ms);
        -- One that runs now may have missed this notification: it runs again.
        INSERT INTO jobs (kind, key, run_at) VALUES ('announce_users', id_text(its_user), 0)
            ON CONFLICT (kind, key) DO UPDATE SET run_at = 0, claim = NULL, attempts = 0, dead = false
            WHERE jobs.claim IS NOT NULL OR jobs.dead;
    END IF;
END
$$;
