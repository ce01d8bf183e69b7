-- Work on the chain: jobs, the signed transactions that do them, and what was minted. Times are milliseconds. Addresses and
-- signatures are base58.

-- A signed transaction is stored before it is sent. Only the chain decides what becomes of it: it is `signed` until its
-- outcome is final.
CREATE TABLE chain_transactions (
    transaction_id bigint PRIMARY KEY DEFAULT next_id(),
    signature text NOT NULL UNIQUE,
    -- The bytes to send, the same ones each time; NULL once the outcome is final.
    raw bytea,
    payer text NOT NULL,
    jobs int NOT NULL,
    -- The last block height at which it can land.
    last_valid_height bigint NOT NULL,
    state text NOT NULL DEFAULT 'signed',
    -- `landed` and `failed`: in which slot. `failed`: why.
    slot bigint,
    error text,
    sends int NOT NULL DEFAULT 0,
    -- Who sends and watches it now, and until when nobody else does.
    worker text NOT NULL,
    lease_until bigint NOT NULL,
    created_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    finished_at bigint,
    CONSTRAINT chain_transaction_states CHECK (state IN ('signed', 'landed', 'failed', 'expired')),
    CONSTRAINT chain_transaction_raw CHECK ((state = 'signed') = (raw IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX chain_transactions_open ON chain_transactions (lease_until) WHERE state = 'signed';
CREATE INDEX chain_transactions_finished ON chain_transactions (finished_at) WHERE state <> 'signed';

-- What was asked for together: some copies to mint.
CREATE TABLE mints (
    mint_id bigint PRIMARY KEY,
    requester_id bigint NOT NULL,
    standard text NOT NULL,
    total int NOT NULL,
    done int NOT NULL DEFAULT 0,
    poisoned int NOT NULL DEFAULT 0,
    -- Rises with every change: the position of its channel.
    seq bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT mint_counts CHECK (total > 0 AND done >= 0 AND poisoned >= 0 AND done + poisoned <= total)
) WITH (fillfactor = 80);
CREATE INDEX mints_by_requester ON mints (requester_id, mint_id);

CREATE TABLE chain_jobs (
    job_id bigint PRIMARY KEY DEFAULT next_id(),
    kind text NOT NULL,
    -- What it is about; a kind has one job for a key. Addresses on the chain are derived from it.
    key text NOT NULL,
    -- JSON, or empty.
    payload bytea NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'queued',
    -- The transaction that does it, or has done it.
    transaction_id bigint REFERENCES chain_transactions,
    -- In how many transactions it was.
    attempts int NOT NULL DEFAULT 0,
    -- How many of those failed on the chain with this job alone in them.
    faults int NOT NULL DEFAULT 0,
    -- The most jobs of a transaction with this one: it halves when such a transaction fails.
    batch_max int NOT NULL DEFAULT 64,
    -- When it may run. While it is claimed: when the lease ends.
    not_before bigint NOT NULL DEFAULT 0,
    -- It waits for that job; `not_before` is then the largest bigint.
    after_job bigint,
    claim uuid,
    worker text,
    mint_id bigint REFERENCES mints,
    error text,
    created_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    finished_at bigint,
    UNIQUE (kind, key),
    CONSTRAINT chain_job_states CHECK (state IN ('queued', 'signed', 'done', 'poisoned')),
    CONSTRAINT chain_job_signed CHECK (state <> 'signed' OR transaction_id IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX chain_jobs_due ON chain_jobs (kind, not_before, job_id) WHERE state = 'queued';
CREATE INDEX chain_jobs_claimed ON chain_jobs (claim) WHERE claim IS NOT NULL;
CREATE INDEX chain_jobs_signed ON chain_jobs (transaction_id) WHERE state = 'signed';
CREATE INDEX chain_jobs_waiting ON chain_jobs (after_job) WHERE after_job IS NOT NULL AND state = 'queued';
CREATE INDEX chain_jobs_poisoned ON chain_jobs (job_id) WHERE state = 'poisoned';
CREATE INDEX chain_jobs_by_mint ON chain_jobs (mint_id, job_id) WHERE mint_id IS NOT NULL;

-- Minting actors listen to the channel `chain_jobs`; they also poll, so a lost notification delays a job and no more.
CREATE FUNCTION announce_chain_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('chain_jobs', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER chain_jobs_added AFTER INSERT ON chain_jobs FOR EACH STATEMENT EXECUTE FUNCTION announce_chain_jobs();

-- One for each set of cards and standard.
CREATE TABLE collections (
    set_id bigint NOT NULL REFERENCES card_sets,
    standard text NOT NULL,
    job_id bigint NOT NULL REFERENCES chain_jobs,
    -- NULL until it is signed.
    address text UNIQUE,
    metadata_uri text,
    -- NULL until its creation is final.
    created_slot bigint,
    PRIMARY KEY (set_id, standard)
);

-- Copies that are minted, or will be. The owner of a copy is in `copies`; `holder` is what the chain says.
CREATE TABLE assets (
    copy_id bigint PRIMARY KEY REFERENCES copies,
    standard text NOT NULL,
    job_id bigint NOT NULL REFERENCES chain_jobs,
    address text UNIQUE,
    -- The address of its collection.
    collection text,
    metadata_uri text,
    -- The wallet that holds it, as of this slot.
    holder text,
    holder_slot bigint,
    state text NOT NULL DEFAULT 'minting',
    CONSTRAINT asset_states CHECK (state IN ('minting', 'minted')),
    CONSTRAINT asset_minted CHECK (state <> 'minted' OR (address IS NOT NULL AND holder IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX assets_by_holder ON assets (holder) WHERE holder IS NOT NULL;
CREATE INDEX assets_minted ON assets (copy_id) WHERE state = 'minted';

-- Minting actors, as `ece chain status` shows them.
CREATE TABLE minting_actors (
    name text PRIMARY KEY,
    fee_payer text NOT NULL,
    balance bigint,
    in_flight int NOT NULL,
    landed bigint NOT NULL,
    jobs_done bigint NOT NULL,
    jobs_per_s double precision NOT NULL,
    note text,
    reported_at bigint NOT NULL
);
