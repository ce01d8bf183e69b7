-- Cards, their copies, and who had each copy when. Amounts are base units, times milliseconds.

CREATE TABLE card_sets (
    set_id bigint PRIMARY KEY DEFAULT next_id(),
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    released_at bigint,
    CONSTRAINT card_set_codes CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,31}$')
);

-- What is printed: every copy of a card shares this.
CREATE TABLE cards (
    card_id bigint PRIMARY KEY DEFAULT next_id(),
    set_id bigint NOT NULL REFERENCES card_sets,
    number text NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    rarity text NOT NULL,
    -- Names and values, both text.
    traits jsonb NOT NULL DEFAULT '{}',
    -- How many copies there may be; NULL: any number.
    edition int,
    creator_id bigint NOT NULL,
    -- Of each sale, in hundredths of a percent, and to whom: [[user id, basis points], ...], five at the most.
    royalty jsonb NOT NULL DEFAULT '[]',
    -- Addresses or content ids.
    images text[] NOT NULL DEFAULT '{}',
    model_3d text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    UNIQUE (set_id, number),
    CONSTRAINT card_editions CHECK (edition > 0)
);

-- One thing that can be owned: it has one owner and is in one place. Where it is listed or in a trade, `locked_by` says in
-- which; so it can't be in two at once.
CREATE TABLE copies (
    copy_id bigint PRIMARY KEY DEFAULT next_id(),
    card_id bigint NOT NULL REFERENCES cards,
    -- Its number within the edition.
    serial int NOT NULL,
    grader text,
    -- In tenths: a 9.5 is 95.
    grade int,
    owner_id bigint NOT NULL,
    place text NOT NULL DEFAULT 'free',
    locked_by bigint,
    -- What its owner paid for it; NULL where it was made or given. Since when they have it.
    cost bigint,
    acquired_at bigint NOT NULL,
    -- That of its newest provenance.
    provenance_seq int NOT NULL DEFAULT 1,
    UNIQUE (card_id, serial),
    CONSTRAINT copy_places CHECK (place IN ('free', 'listed', 'trade', 'withdrawn')),
    CONSTRAINT copy_locks CHECK ((place IN ('listed', 'trade')) = (locked_by IS NOT NULL)),
    CONSTRAINT copy_grades CHECK (grade BETWEEN 10 AND 100 AND (grade IS NULL) = (grader IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX copies_by_owner ON copies (owner_id, copy_id);
CREATE INDEX copies_by_lock ON copies (locked_by) WHERE locked_by IS NOT NULL;

-- Every change of owner, from the making on. Rows are only ever added.
CREATE TABLE provenance (
    copy_id bigint NOT NULL,
    seq int NOT NULL,
    at bigint NOT NULL,
    reason text NOT NULL,
    from_owner bigint,
    to_owner bigint NOT NULL,
    -- What was paid for this copy; NULL where nothing was.
    price bigint,
    currency text,
    -- The auction or trade, and the hash of the event in its log.
    source_id bigint,
    event_hash bytea,
    PRIMARY KEY (copy_id, seq),
    CONSTRAINT provenance_reasons CHECK (reason IN ('made', 'sale', 'trade', 'gift')),
    CONSTRAINT provenance_first CHECK ((reason = 'made') = (from_owner IS NULL) AND (reason = 'made') = (seq = 1)),
    CONSTRAINT provenance_prices CHECK ((price IS NULL) = (currency IS NULL) AND price > 0)
);
CREATE TRIGGER provenance_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON provenance
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- What was sold, copy by copy: a bundle's price is shared out over its copies, with nothing left over.
CREATE TABLE sales (
    auction_id bigint NOT NULL,
    copy_id bigint NOT NULL,
    card_id bigint NOT NULL,
    seller_id bigint NOT NULL,
    buyer_id bigint NOT NULL,
    currency text NOT NULL,
    price bigint NOT NULL,
    fee bigint NOT NULL,
    royalties bigint NOT NULL,
    -- What the seller had paid for it, if anything.
    seller_cost bigint,
    at bigint NOT NULL,
    -- In the order of settling: what read models have taken in is up to one of these.
    sale_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (auction_id, copy_id)
);
CREATE INDEX sales_by_card ON sales (card_id, sale_no);
CREATE INDEX sales_by_seller ON sales (seller_id, sale_no);
CREATE INDEX sales_by_buyer ON sales (buyer_id, sale_no);
