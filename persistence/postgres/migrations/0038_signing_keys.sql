-- The keys that sign access tokens (Ed25519). The private half is encrypted; `key_id` names the secret that does it.
-- A key signs from `signs_from` until `retired_at`, and is public some time longer. Times in milliseconds.
CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL,
    signs_from bigint NOT NULL,
    retired_at bigint
);
