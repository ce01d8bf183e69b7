-- What users are open to trade, what they want, and links to both.

CREATE TABLE trade_haves (
    -- Whoever is its owner now: a row of a former owner means nothing, and is replaced.
    copy_id bigint PRIMARY KEY REFERENCES copies,
    user_id bigint NOT NULL REFERENCES users,
    card_id bigint NOT NULL,
    set_id bigint NOT NULL,
    rarity text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX trade_haves_by_user ON trade_haves (user_id, copy_id);
CREATE INDEX trade_haves_by_card ON trade_haves (card_id);
CREATE INDEX trade_haves_by_set ON trade_haves (set_id, rarity);
CREATE INDEX trade_haves_by_rarity ON trade_haves (rarity);

-- One card, or any card of a set, of a rarity, or of both.
CREATE TABLE trade_wants (
    want_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL REFERENCES users,
    card_id bigint REFERENCES cards,
    set_id bigint REFERENCES card_sets,
    rarity text,
    at bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT (user_id, card_id, set_id, rarity),
    CONSTRAINT trade_wants_something CHECK (num_nonnulls(card_id, set_id, rarity) > 0),
    CONSTRAINT trade_wants_one_way CHECK (card_id IS NULL OR (set_id IS NULL AND rarity IS NULL))
);
CREATE INDEX trade_wants_by_user ON trade_wants (user_id, want_id);
CREATE INDEX trade_wants_by_card ON trade_wants (card_id) WHERE card_id IS NOT NULL;
CREATE INDEX trade_wants_by_set ON trade_wants (set_id) WHERE set_id IS NOT NULL;
CREATE INDEX trade_wants_by_rarity ON trade_wants (rarity) WHERE card_id IS NULL AND set_id IS NULL;

CREATE VIEW trade_matches AS
    SELECT h.user_id AS giver, w.user_id AS receiver, h.copy_id, h.card_id
    FROM trade_haves h JOIN trade_wants w ON w.card_id = h.card_id
    UNION ALL
    SELECT h.user_id, w.user_id, h.copy_id, h.card_id
    FROM trade_haves h JOIN trade_wants w ON w.set_id = h.set_id AND coalesce(w.rarity, h.rarity) = h.rarity
    UNION ALL
    SELECT h.user_id, w.user_id, h.copy_id, h.card_id
    FROM trade_haves h JOIN trade_wants w ON w.card_id IS NULL AND w.set_id IS NULL AND w.rarity = h.rarity;

-- A link with which anybody who has it can see what its user offers and make them an offer.
CREATE TABLE trade_links (
    link_id bigint PRIMARY KEY DEFAULT next_id(),
    token text NOT NULL UNIQUE,
    user_id bigint NOT NULL REFERENCES users,
    copies bigint[] NOT NULL,
    message text NOT NULL,
    at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX trade_links_by_user ON trade_links (user_id, link_id);
