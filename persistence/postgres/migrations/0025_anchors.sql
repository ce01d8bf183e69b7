-- Anchors: the last hashes of ended entities, as leaves of Merkle trees whose roots are written to the chain.

-- A row for each change of an ended entity, written in the transaction of the change, and deleted in the one that makes
-- the anchor. It has no unique key: a host that ends an entity never waits for the worker that reads these rows.
CREATE TABLE unanchored (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_id bigint NOT NULL,
    since bigint NOT NULL
);

CREATE FUNCTION note_unanchored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unanchored (entity_id, since)
        VALUES (NEW.entity_id, (extract(epoch FROM statement_timestamp()) * 1000)::bigint);
    RETURN NULL;
END
$$;
CREATE TRIGGER entity_added_ended AFTER INSERT ON entities
    FOR EACH ROW WHEN (NEW.ended) EXECUTE FUNCTION note_unanchored();
CREATE TRIGGER entity_ended AFTER UPDATE ON entities
    FOR EACH ROW WHEN (NEW.ended AND (NOT OLD.ended OR NEW.seq <> OLD.seq)) EXECUTE FUNCTION note_unanchored();
INSERT INTO unanchored (entity_id, since) SELECT entity_id, 0 FROM entities WHERE ended ORDER BY entity_id;

CREATE TABLE anchors (
    anchor_id bigint PRIMARY KEY,
    root bytea NOT NULL,
    leaves int NOT NULL,
    memo text NOT NULL,
    -- `pending` until the transaction with the memo is final; `failed`: its job is poisoned, and can be retried.
    state text NOT NULL DEFAULT 'pending',
    -- Of that transaction: its signature and slot, and the address that signed the memo.
    signature text,
    slot bigint,
    signer text,
    error text,
    created_at bigint NOT NULL,
    finished_at bigint,
    CONSTRAINT anchor_states CHECK (state IN ('pending', 'final', 'failed')),
    CONSTRAINT anchor_final CHECK (state <> 'final' OR (signature IS NOT NULL AND slot IS NOT NULL))
);
CREATE INDEX anchors_open ON anchors (anchor_id) WHERE state <> 'final';

-- An entity whose log goes on after its end, as an auction's by its settlement, may have several.
CREATE TABLE anchor_leaves (
    entity_id bigint NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    hash bytea NOT NULL,
    anchor_id bigint NOT NULL REFERENCES anchors,
    place int NOT NULL,
    -- The hashes of the inclusion proof, 32 bytes each.
    path bytea NOT NULL,
    PRIMARY KEY (entity_id, seq)
);
CREATE UNIQUE INDEX anchor_leaves_by_place ON anchor_leaves (anchor_id, place);
