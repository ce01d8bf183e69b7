-- E-mail: verified addresses, the tokens that mails carry, and what was mailed of notifications. Times in milliseconds.

-- When the user proved that they read mail at their address; NULL: not yet, or not at the present address.
ALTER TABLE users ADD COLUMN verified_at bigint;

-- Hashes of tokens (persistence/identity/mail_tokens.py). A used one stays until it has expired: a mail that is sent
-- twice has the same token, which must not become good again.
CREATE TABLE mail_tokens (
    token_hash bytea PRIMARY KEY,
    purpose text NOT NULL,
    user_id bigint NOT NULL REFERENCES users,
    -- What the token proves that its user reads.
    address text NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE INDEX mail_tokens_by_user ON mail_tokens (user_id, purpose);
CREATE INDEX mail_tokens_expired ON mail_tokens (expires_at);

-- The last mail about notifications of one kind: what is newer is mailed together, some time after it.
CREATE TABLE mail_digests (
    user_id bigint NOT NULL REFERENCES users,
    kind text NOT NULL,
    sent_at bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (user_id, kind)
) WITH (fillfactor = 80);

-- Whatever stores a notification adds the job of its mail in the same transaction. Only verified addresses get mail: an
-- address may be somebody else's. A job that runs now may have missed this notification, so it runs again.
CREATE FUNCTION add_notification_mails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (kind, key, run_at)
    SELECT DISTINCT 'mail_notifications', id_text(a.user_id) || ':' || a.kind, 0 FROM added a JOIN users u USING (user_id)
    WHERE u.verified_at IS NOT NULL AND NOT EXISTS (SELECT FROM notification_preferences p
        WHERE p.user_id = a.user_id AND p.kind = a.kind AND NOT p.email)
    ORDER BY 2
    ON CONFLICT (kind, key) DO UPDATE SET run_at = 0, claim = NULL, attempts = 0, dead = false
        WHERE jobs.claim IS NOT NULL OR jobs.dead;
    RETURN NULL;
END
$$;
CREATE TRIGGER notifications_are_mailed AFTER INSERT ON notifications REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_notification_mails();
