-- Addresses of mails in flight: where an order goes that does not follow from its user, and what the token of a mail
-- proves. Encrypted as users' addresses are (0049). A row goes when neither its job nor a token needs it.
CREATE TABLE mail_addresses (
    -- The key of a job of the kind `mail`.
    job_key text PRIMARY KEY,
    -- NULL: somebody typed the address who was not logged in, and the mail is not sent yet.
    user_id bigint REFERENCES users,
    email text NOT NULL,
    email_key text NOT NULL,
    email_key_id text,
    email_sealed bytea,
    -- In milliseconds.
    added_at bigint NOT NULL DEFAULT clock_ms(),
    CHECK ((email_key_id IS NULL) = (email_sealed IS NULL))
);
CREATE INDEX mail_addresses_by_user ON mail_addresses (user_id);
CREATE INDEX mail_addresses_by_key ON mail_addresses (email_key_id, job_key) WHERE email_key_id IS NOT NULL;

INSERT INTO mail_addresses (job_key, user_id, email, email_key)
SELECT 'token:' || encode(token_hash, 'hex'), user_id, address, lower(normalize(address, NFC)) FROM mail_tokens;
ALTER TABLE mail_tokens ADD COLUMN job_key text REFERENCES mail_addresses ON DELETE CASCADE;
UPDATE mail_tokens SET job_key = 'token:' || encode(token_hash, 'hex');
ALTER TABLE mail_tokens ALTER COLUMN job_key SET NOT NULL, DROP COLUMN address;
CREATE INDEX mail_tokens_by_job ON mail_tokens (job_key);

INSERT INTO mail_addresses (job_key, email, email_key)
SELECT key, address, lower(normalize(address, NFC))
FROM (SELECT key, convert_from(payload, 'UTF8')::jsonb ->> 'address' AS address FROM jobs WHERE kind = 'mail') AS its
WHERE address IS NOT NULL;
UPDATE jobs SET payload = convert_to((convert_from(payload, 'UTF8')::jsonb - 'address')::text, 'UTF8') WHERE kind = 'mail';
