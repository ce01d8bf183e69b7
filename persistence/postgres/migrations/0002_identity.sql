-- Who may bid and sell. Widened later; what stands here stays.
CREATE TABLE users (
    user_id bigint PRIMARY KEY DEFAULT next_id(),
    username text NOT NULL,
    email text NOT NULL,
    -- NULL: no password was ever set, so none can be right.
    password_hash text,
    roles text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- A log-in is a family of refresh tokens, one alive at a time; using a spent one ends the log-in. Its row is what
-- those who rotate and those who end it lock, so that no successor outlives it. The tokens have 256 random bits:
-- a plain SHA-256 hides them well enough. Times in milliseconds.
CREATE TABLE log_ins (
    family text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    expires_at bigint NOT NULL
);
CREATE INDEX log_ins_expired ON log_ins (expires_at);
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    family text NOT NULL REFERENCES log_ins ON DELETE CASCADE,
    expires_at bigint NOT NULL,
    spent boolean NOT NULL DEFAULT false
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_expired ON refresh_tokens (expires_at);

-- One row for each POST that creates or moves something.
CREATE TABLE idempotency_keys (
    user_id bigint NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    -- What a create makes is named before the command is sent, so that a retry sends the same command; and a retry
    -- of "ten minutes from now" means the same because it counts from when the first was received.
    created_id bigint NOT NULL DEFAULT next_id(),
    received_at bigint NOT NULL,
    -- Until then (ms) a request with this key is at work; one that died at it is taken over afterwards.
    running_until bigint NOT NULL,
    status int,
    response bytea,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (received_at);
