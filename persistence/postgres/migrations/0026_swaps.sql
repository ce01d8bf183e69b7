-- Swaps: trades between two outside wallets, by one transaction that both sign. Its durable nonce keeps the signatures good
-- until it is sent. Addresses and signatures are base58, times are milliseconds.

-- Used by one swap after the other. `value` is what the last message had in it: a swap needs a later one.
CREATE TABLE nonce_accounts (
    -- Its address follows from it.
    number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text UNIQUE,
    value text,
    -- NULL: free.
    swap_id bigint UNIQUE,
    CONSTRAINT nonce_addresses CHECK (address IS NOT NULL OR value IS NULL)
);
CREATE INDEX nonce_accounts_free ON nonce_accounts (number) WHERE swap_id IS NULL AND address IS NOT NULL;

CREATE TABLE swaps (
    swap_id bigint PRIMARY KEY,
    proposer_id bigint NOT NULL REFERENCES users,
    counterparty_id bigint NOT NULL REFERENCES users,
    proposer_wallet text NOT NULL,
    counterparty_wallet text NOT NULL,
    -- In the order of the transaction: domain/sales/swaps.py.
    legs jsonb NOT NULL,
    state text NOT NULL DEFAULT 'preparing',
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    -- The exact bytes to sign, with their nonce and who pays the fees.
    nonce_address text,
    nonce text,
    payer text,
    message bytea,
    proposer_signature text,
    counterparty_signature text,
    -- Of the transaction with all signatures, stored before it is sent.
    raw bytea,
    signature text UNIQUE,
    sent_at bigint,
    ended_at bigint,
    reason text,
    CONSTRAINT swap_states
        CHECK (state IN ('preparing', 'open', 'signed', 'sent', 'done', 'failed', 'cancelled', 'expired')),
    CONSTRAINT swap_parties CHECK (proposer_id <> counterparty_id AND proposer_wallet <> counterparty_wallet),
    CONSTRAINT swap_messages CHECK (
        (state NOT IN ('open', 'signed', 'sent', 'done') OR message IS NOT NULL)
        AND (message IS NULL) = (nonce IS NULL) AND (message IS NULL) = (nonce_address IS NULL)
    ),
    CONSTRAINT swap_signatures CHECK (
        state NOT IN ('signed', 'sent', 'done')
        OR (proposer_signature IS NOT NULL AND counterparty_signature IS NOT NULL)
    ),
    CONSTRAINT swap_sent CHECK (state NOT IN ('sent', 'done') OR (raw IS NOT NULL AND signature IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX swaps_by_proposer ON swaps (proposer_id, swap_id);
CREATE INDEX swaps_by_counterparty ON swaps (counterparty_id, swap_id);
CREATE INDEX swaps_expiring ON swaps (expires_at) WHERE state IN ('preparing', 'open', 'signed');

CREATE TABLE swap_copies (
    swap_id bigint NOT NULL REFERENCES swaps,
    copy_id bigint NOT NULL REFERENCES copies,
    PRIMARY KEY (swap_id, copy_id)
);
CREATE INDEX swap_copies_by_copy ON swap_copies (copy_id);
