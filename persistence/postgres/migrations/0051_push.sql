-- Web Push (RFC 8030): where browsers want to be notified, and what was sent. Times in milliseconds.

-- A subscription belongs to a session: when that ends, its browser gets nothing more.
CREATE TABLE push_subscriptions (
    subscription_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL REFERENCES users,
    family text NOT NULL REFERENCES log_ins ON DELETE CASCADE,
    endpoint text NOT NULL UNIQUE,
    -- The browser's public key and secret, which encrypt what is sent (RFC 8291).
    p256dh bytea NOT NULL,
    auth bytea NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX push_subscriptions_by_user ON push_subscriptions (user_id);
CREATE INDEX push_subscriptions_by_log_in ON push_subscriptions (family);

ALTER TABLE notification_preferences ADD COLUMN push boolean NOT NULL DEFAULT true;

-- The last push about notifications of one kind: what is newer is sent together, some time after it.
CREATE TABLE push_digests (
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL,
    sent_at bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (user_id, kind)
) WITH (fillfactor = 80);

-- As add_notification_mails.
CREATE FUNCTION add_notification_pushes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (kind, key, run_at)
    SELECT DISTINCT 'push_notifications', id_text(a.user_id) || ':' || a.kind, 0 FROM added a
    WHERE EXISTS (SELECT FROM push_subscriptions s WHERE s.user_id = a.user_id)
        AND NOT EXISTS (SELECT FROM notification_preferences p
            WHERE p.user_id = a.user_id AND p.kind = a.kind AND NOT p.push)
    ORDER BY 2
    ON CONFLICT (kind, key) DO UPDATE SET run_at = 0, claim = NULL, attempts = 0, dead = false
        WHERE jobs.claim IS NOT NULL OR jobs.dead;
    RETURN NULL;
END
$$;
CREATE TRIGGER notifications_are_pushed AFTER INSERT ON notifications REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_notification_pushes();
