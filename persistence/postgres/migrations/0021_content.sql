-- Content by its id (CIDv1): metadata of cards, and pictures. What an id stands for never changes. Times are milliseconds.
CREATE TABLE content (
    cid text PRIMARY KEY,
    size bigint NOT NULL,
    media_type text NOT NULL,
    -- Small content, as documents are, stands here; NULL: in a file of the content directory, which is complete.
    body bytea,
    created_at bigint NOT NULL,
    -- Who uploaded it first; NULL: the engine.
    created_by bigint,
    CONSTRAINT content_sizes CHECK (size >= 0 AND (body IS NULL OR octet_length(body) = size))
);
CREATE INDEX content_by_user ON content (created_by, created_at) WHERE created_by IS NOT NULL;
CREATE INDEX content_by_time ON content (created_at, cid);

-- Copies of content on other services: `ipfs` (a node), `pinning` (a pinning service), `arweave`.
CREATE TABLE content_copies (
    cid text NOT NULL REFERENCES content,
    service text NOT NULL,
    state text NOT NULL,
    -- Its id there, where that is not the CID: of the pin request, of the data item.
    remote_id text,
    updated_at bigint NOT NULL,
    PRIMARY KEY (cid, service),
    CONSTRAINT content_copy_services CHECK (service IN ('ipfs', 'pinning', 'arweave')),
    CONSTRAINT content_copy_states CHECK (state IN ('requested', 'stored'))
);
