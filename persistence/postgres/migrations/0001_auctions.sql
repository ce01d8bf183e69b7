-- Live auctions: the event log (the truth), snapshots and a read model (both can be rebuilt from it), and
-- the directory of which host keeps which slot.

-- Ids are milliseconds since 2020-01-01 << 22 | counter: see domain/ids.py.
CREATE SEQUENCE id_counter AS bigint CYCLE MINVALUE 0 MAXVALUE 4194303;

CREATE FUNCTION next_id() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1577836800000) << 22 | nextval('id_counter')
$$;

CREATE FUNCTION first_id_at(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ((extract(epoch FROM at) * 1000)::bigint - 1577836800000) << 22
$$;

-- Restoring a backup may take back what clients have seen: raising the epoch tells them.
CREATE TABLE cluster (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch int NOT NULL DEFAULT 1,
    -- How many slots auctions map to; set at the first start, and then for good.
    slots int
);
INSERT INTO cluster DEFAULT VALUES;

-- One row an event. (auction_id, seq) is the fence: a second writer collides. Partitioned by the month in which
-- the auction was created (it is in the id), so that months of finished auctions can be detached as a whole.
CREATE TABLE auction_events (
    auction_id bigint NOT NULL,
    seq bigint NOT NULL,
    epoch int NOT NULL,
    at bigint NOT NULL,
    command_key bytea,
    body bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (auction_id, seq)
) PARTITION BY RANGE (auction_id);
CREATE UNIQUE INDEX auction_events_command_key ON auction_events (auction_id, command_key)
    WHERE command_key IS NOT NULL;
CREATE TABLE auction_events_other PARTITION OF auction_events DEFAULT;

-- Makes the partitions of this month and the next two. Called when a host starts, and daily.
CREATE FUNCTION ensure_event_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(4_537_001);
    FOR i IN 0..2 LOOP
        month := date_trunc('month', now(), 'UTC') + make_interval(months => i);
        name := 'auction_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF auction_events FOR VALUES FROM (%s) TO (%s)',
                    name, first_id_at(month), first_id_at(month + interval '1 month'));
            EXCEPTION WHEN check_violation THEN
                -- Nobody called this for months: that month's rows are in the default partition, and stay there.
                RAISE WARNING 'no partition %: its rows are in auction_events_other', name;
            END;
        END IF;
    END LOOP;
END
$$;
SELECT ensure_event_partitions();

CREATE TABLE auction_snapshots (
    auction_id bigint PRIMARY KEY,
    seq bigint NOT NULL,
    epoch int NOT NULL,
    at bigint NOT NULL,
    hash bytea NOT NULL,
    state bytea NOT NULL
);

-- The read model for lists and look-ups; follows the log within a second while an auction is live, at once when
-- it is listed or ends. `due_at` is when time alone changes the auction next.
CREATE TABLE auctions (
    auction_id bigint PRIMARY KEY,
    slot int NOT NULL,
    seller_id bigint NOT NULL,
    seller_name text NOT NULL,
    title text NOT NULL,
    format text NOT NULL,
    status text NOT NULL,
    placement text NOT NULL,
    price bigint NOT NULL,
    minimum bigint NOT NULL,
    leader_id bigint,
    leader_name text,
    winner_id bigint,
    bids bigint NOT NULL,
    reserve text NOT NULL,
    buy_now bigint,
    starts_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    closed_reason text,
    due_at bigint,
    epoch int NOT NULL,
    seq bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX auctions_due ON auctions (slot) WHERE due_at IS NOT NULL;
CREATE INDEX auctions_by_status ON auctions (status, auction_id);
CREATE INDEX auctions_by_seller ON auctions (seller_id, auction_id);
CREATE INDEX auctions_ending ON auctions (ends_at, auction_id) WHERE status = 'open';

-- The directory. `alive_at` (ms) is the last time at which the host is known to have been able to commit.
CREATE TABLE hosts (
    host_id text PRIMARY KEY,
    incarnation bigint NOT NULL,
    address text NOT NULL,
    port int NOT NULL,
    alive_at bigint NOT NULL
);
CREATE TABLE slots (
    slot int PRIMARY KEY,
    host_id text REFERENCES hosts,
    -- Where host_id is NULL: until when (ms) the last keeper was alive.
    kept_until bigint
);
CREATE INDEX slots_by_host ON slots (host_id);
