-- Wallets: custody of users' keys, links to outside wallets, deposits, withdrawals, and the second factor. Secrets are
-- encrypted before they come here (AES-256-GCM); `key_id` names the key that decrypts them. Addresses are base58.

CREATE TABLE custodial_wallets (
    user_id bigint PRIMARY KEY REFERENCES users,
    address text NOT NULL UNIQUE,
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    -- Looked at often until then, because its user is about to deposit; the others in turn.
    watched_until bigint NOT NULL DEFAULT 0,
    -- The newest transaction of its token account up to which all deposits are in the ledger.
    last_signature text,
    -- A reading of the history that is not complete: it began at `scan_newest` and goes on before `scan_before`.
    scan_newest text,
    scan_before text,
    CONSTRAINT custodial_scans CHECK ((scan_newest IS NULL) = (scan_before IS NULL)),
    CONSTRAINT custodial_addresses CHECK (address ~ '^[1-9A-HJ-NP-Za-km-z]{32,44}$')
);
CREATE INDEX custodial_wallets_by_key ON custodial_wallets (key_id, user_id);
CREATE INDEX custodial_wallets_watched ON custodial_wallets (watched_until);

CREATE TABLE linked_wallets (
    address text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    -- The challenge that its owner signed.
    nonce text NOT NULL UNIQUE,
    linked_at bigint NOT NULL
);
CREATE INDEX linked_wallets_by_user ON linked_wallets (user_id, linked_at);

CREATE TABLE wallet_challenges (
    nonce text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    address text NOT NULL,
    -- The exact text that the wallet has to sign.
    message text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX wallet_challenges_by_user ON wallet_challenges (user_id, expires_at);
CREATE INDEX wallet_challenges_expired ON wallet_challenges (expires_at);

-- One row for each user who has begun to enrol. It counts once `confirmed_at` is set.
CREATE TABLE second_factors (
    user_id bigint PRIMARY KEY REFERENCES users,
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL,
    confirmed_at bigint,
    -- The time step of the last code that was accepted: neither it nor an older one counts again.
    last_step bigint NOT NULL DEFAULT 0,
    -- Attempts since the last accepted code, and until when no more are accepted.
    attempts int NOT NULL DEFAULT 0,
    locked_until bigint NOT NULL DEFAULT 0
);
CREATE INDEX second_factors_by_key ON second_factors (key_id, user_id);
CREATE TABLE recovery_codes (
    user_id bigint NOT NULL REFERENCES second_factors ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

-- What arrived at custodial wallets: one row for each transaction and token account.
CREATE TABLE chain_deposits (
    deposit_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL,
    signature text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    slot bigint NOT NULL,
    at bigint NOT NULL,
    UNIQUE (signature, account),
    CONSTRAINT chain_deposit_amounts CHECK (amount BETWEEN 1 AND (1::bigint << 53) - 1)
);
CREATE INDEX chain_deposits_by_user ON chain_deposits (user_id, deposit_id);

-- A withdrawal is `sending` once a transaction may exist for it; then only the chain decides.
ALTER TABLE ledger_withdrawals DROP CONSTRAINT ledger_withdrawal_states;
ALTER TABLE ledger_withdrawals ADD COLUMN signature text, ADD COLUMN finished_at bigint,
    ADD CONSTRAINT ledger_withdrawal_states CHECK (
        state IN ('requested', 'waiting_for_chain', 'sending', 'paid', 'failed', 'rejected', 'cancelled')
    );
CREATE INDEX ledger_withdrawals_waiting ON ledger_withdrawals (withdrawal_id) WHERE state = 'waiting_for_chain';
CREATE INDEX ledger_withdrawals_sending ON ledger_withdrawals (withdrawal_id) WHERE state = 'sending';

-- Copies that their owners send to addresses outside. A copy has one that is `sending` at most.
CREATE TABLE card_withdrawals (
    withdrawal_id bigint PRIMARY KEY,
    copy_id bigint NOT NULL,
    user_id bigint NOT NULL,
    address text NOT NULL,
    state text NOT NULL DEFAULT 'sending',
    requested_at bigint NOT NULL,
    finished_at bigint,
    signature text,
    reason text,
    CONSTRAINT card_withdrawal_states CHECK (state IN ('sending', 'sent', 'failed'))
);
CREATE UNIQUE INDEX card_withdrawals_sending ON card_withdrawals (copy_id) WHERE state = 'sending';
CREATE INDEX card_withdrawals_by_user ON card_withdrawals (user_id, withdrawal_id);

ALTER TABLE provenance DROP CONSTRAINT provenance_reasons;
ALTER TABLE provenance ADD CONSTRAINT provenance_reasons
    CHECK (reason IN ('made', 'sale', 'trade', 'gift', 'refund', 'deposit'));

-- Notifies a user, once for each `about`: the next of their sequence (persistence/notifications/store.py). A job announces it
-- to the gateways after the commit.
CREATE FUNCTION notify_user(its_user bigint, its_kind text, its_about text, its_data jsonb, now_ms bigint)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    its_seq bigint;
BEGIN
    -- The row of the head comes first: two that notify the same user wait for each other there.
    INSERT INTO notification_heads (user_id, seq) VALUES (its_user, 1)
        ON CONFLICT (user_id) DO UPDATE SET seq = notification_heads.seq + 1 RETURNING seq INTO its_seq;
    IF EXISTS (SELECT FROM notifications WHERE user_id = its_user AND about = its_about) THEN
        UPDATE notification_heads SET seq = seq - 1 WHERE user_id = its_user;
    ELSE
        INSERT INTO notifications (user_id, seq, kind, about, data, at)
            VALUES (its_user, its_seq, its_kind, its_about, its_data, now_ms);
        -- One that runs now may have missed this notification: it runs again.
        INSERT INTO jobs (kind, key, run_at) VALUES ('announce_users', id_text(its_user), 0)
            ON CONFLICT (kind, key) DO UPDATE SET run_at = 0, claim = NULL, attempts = 0, dead = false
            WHERE jobs.claim IS NOT NULL OR jobs.dead;
    END IF;
END
$$;
CREATE INDEX copies_withdrawn ON copies (copy_id) WHERE place = 'withdrawn';
