-- The catalog: what is searched, and what the market says of each card. Both can be made anew from other tables.

-- Text as it is searched: no accents, no capitals, nothing between words but spaces.
CREATE FUNCTION catalog_folded(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(
        lower(CASE WHEN octet_length(given) = length(given) THEN given
            ELSE regexp_replace(normalize(given, NFKD), '[\u0300-\u036f]', '', 'g') END),
        E'!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r', repeat(' ', 35))
$$;

-- The words of a card, those of its name and number before those of its set and traits, its description last.
CREATE FUNCTION catalog_document(name text, number text, set_name text, traits jsonb, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('simple', catalog_folded(name || ' ' || number)), 'A')
        || setweight(to_tsvector('simple', catalog_folded(set_name || ' ' || traits::text)), 'B')
        || CASE WHEN description = '' THEN '' ELSE
            setweight(to_tsvector('simple', catalog_folded(description)), 'D') END
$$;

ALTER TABLE cards ADD COLUMN document tsvector NOT NULL DEFAULT '';
UPDATE cards c SET document = catalog_document(c.name, c.number, s.name, c.traits, c.description)
    FROM card_sets s WHERE s.set_id = c.set_id;
CREATE INDEX cards_document ON cards USING gin (document);
CREATE INDEX cards_traits ON cards USING gin (traits jsonb_path_ops);
CREATE INDEX cards_by_set ON cards (set_id, card_id);
CREATE INDEX cards_by_rarity ON cards (rarity, card_id);
CREATE INDEX cards_by_name ON cards (lower(name), card_id);

-- Every word that stands in a card, with its trigrams (domain/catalog/trigrams.py): a word that nobody wrote is looked for
-- among those that look like it. Filled after the cards; a word that no card has any more finds nothing, and stays.
CREATE TABLE card_words (
    word text PRIMARY KEY,
    trigrams text[] NOT NULL
);
CREATE INDEX card_words_trigrams ON card_words USING gin (trigrams);

-- What the open auctions of a card's copies say. A card that never had one has no row.
CREATE TABLE card_market (
    card_id bigint PRIMARY KEY REFERENCES cards,
    open_auctions int NOT NULL,
    lowest_price bigint,
    ends_at_next bigint,
    listed_at_last bigint
) WITH (fillfactor = 80);
CREATE INDEX card_market_price ON card_market (lowest_price, card_id) WHERE open_auctions > 0;
CREATE INDEX card_market_ending ON card_market (ends_at_next, card_id) WHERE open_auctions > 0;
