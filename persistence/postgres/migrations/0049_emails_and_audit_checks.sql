-- E-mail addresses, encrypted where a setting says so: then `email` is empty, and `email_key` is a keyed hash of the address.
ALTER TABLE users ADD COLUMN email_key_id text, ADD COLUMN email_sealed bytea;
ALTER TABLE users ADD CONSTRAINT users_email_sealed CHECK ((email_key_id IS NULL) = (email_sealed IS NULL));
CREATE INDEX users_email_by_key ON users (email_key_id, user_id) WHERE email_key_id IS NOT NULL;

-- The last periodic check of the audit trail: what it found, and the end of the chain that the next one has to find again.
-- `walked` is how far the whole trail has been gone through. One row; it can be changed, so it proves nothing to others.
CREATE TABLE audit_checks (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    checked_at bigint NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL,
    walked bigint NOT NULL,
    -- The first links that were wrong, as text; an operator empties them once the trail is explained.
    findings text[] NOT NULL
);
