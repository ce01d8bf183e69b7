-- Envelope encryption (decision 60): data keys encrypt values, master keys, which never come here, encrypt ("wrap") the
-- data keys. A key of the purpose `values` encrypts from `usable_from` (ms) on, so that all processes have it by then; that
-- of `email_index` is the key of the HMAC by which encrypted e-mail addresses are looked up.
CREATE TABLE data_keys (
    key_id text PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('values', 'email_index')),
    -- The master key that unwraps it.
    master_id text NOT NULL,
    wrapped bytea NOT NULL,
    usable_from bigint NOT NULL,
    created_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
);
CREATE UNIQUE INDEX data_keys_one_email_index ON data_keys (purpose) WHERE purpose = 'email_index';
