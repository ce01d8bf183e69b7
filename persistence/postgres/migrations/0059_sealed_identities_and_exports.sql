-- Addresses that providers of log-ins named have the columns of users' addresses (0049), and are encrypted where those are.
ALTER TABLE identities ADD COLUMN email_key text, ADD COLUMN email_key_id text, ADD COLUMN email_sealed bytea;
UPDATE identities SET email_key = lower(normalize(email, NFC)) WHERE email IS NOT NULL;
ALTER TABLE identities
    ADD CONSTRAINT identities_email_key CHECK ((email IS NULL) = (email_key IS NULL)),
    ADD CONSTRAINT identities_email_sealed CHECK ((email_key_id IS NULL) = (email_sealed IS NULL));
CREATE INDEX identities_email_by_key ON identities (email_key_id, identity_id) WHERE email_key_id IS NOT NULL;

-- An export that is encrypted has a key of its own for its pages: this is that key, encrypted with a data key.
ALTER TABLE user_exports ADD COLUMN key_id text, ADD COLUMN sealed bytea;
ALTER TABLE user_exports ADD CONSTRAINT user_exports_sealed
    CHECK ((key_id IS NULL) = (sealed IS NULL) AND (sealed IS NULL OR state = 'ready'));
