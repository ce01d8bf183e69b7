-- Passkeys (WebAuthn). `public_key` is COSE; `sign_count` is what the authenticator said last, 0 where it does not count.
CREATE TABLE passkeys (
    passkey_id bigint PRIMARY KEY DEFAULT next_id(),
    credential_id bytea NOT NULL,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    name text NOT NULL,
    backed_up boolean NOT NULL,
    created_at bigint NOT NULL,
    used_at bigint,
    CONSTRAINT passkey_credentials UNIQUE (credential_id)
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, passkey_id);
