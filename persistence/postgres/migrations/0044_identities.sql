-- Ways to log in beside a password: identities of OpenID Connect providers, and wallets (Sign-In With Solana).
CREATE TABLE identities (
    identity_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    way text NOT NULL,
    -- Of OpenID Connect: the issuer, and its `sub`. Of a wallet: `solana`, and the address.
    issuer text NOT NULL,
    subject text NOT NULL,
    -- What its user knows it by: the provider's name, and the address that it named.
    provider text NOT NULL,
    email text,
    email_verified boolean NOT NULL DEFAULT false,
    linked_at bigint NOT NULL,
    -- When it last proved who its user is.
    used_at bigint NOT NULL,
    CONSTRAINT identity_ways CHECK (way IN ('oidc', 'solana')),
    CONSTRAINT identity_subjects UNIQUE (way, issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id, identity_id);

-- What is good once: nonces, states, challenges of passkeys, and log-ins that wait for a code. The tokens are random:
-- a plain SHA-256 hides them well enough.
CREATE TABLE log_in_challenges (
    token_hash bytea PRIMARY KEY,
    purpose text NOT NULL,
    user_id bigint REFERENCES users ON DELETE CASCADE,
    data bytea NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX log_in_challenges_expired ON log_in_challenges (expires_at);
CREATE INDEX log_in_challenges_by_user ON log_in_challenges (user_id, purpose, expires_at) WHERE user_id IS NOT NULL;
