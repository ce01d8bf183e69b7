-- API keys of bots, and sessions that have shown their second factor a moment ago. Times in milliseconds.

CREATE TABLE api_keys (
    key_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL REFERENCES users,
    name text NOT NULL,
    -- What its owner sees of it; 256 random bits follow: a plain SHA-256 hides them well enough.
    prefix text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    -- Empty: from anywhere.
    networks text[] NOT NULL DEFAULT '{}',
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    -- To five minutes.
    last_used_at bigint,
    revoked_at bigint
);
CREATE INDEX api_keys_user ON api_keys (user_id, key_id);

CREATE TABLE second_factor_proofs (
    session text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES second_factors ON DELETE CASCADE,
    at bigint NOT NULL
);
CREATE INDEX second_factor_proofs_at ON second_factor_proofs (at);
CREATE INDEX second_factor_proofs_user ON second_factor_proofs (user_id);
