-- The catalog at a million cards: cards checked by the statement, not by the row; and what changed when, for caches.

-- A card's set exists. A foreign key looks that up, and locks the set, for each row: a third of what an import costs.
ALTER TABLE cards DROP CONSTRAINT cards_set_id_fkey;

CREATE FUNCTION cards_have_sets() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    missing bigint;
BEGIN
    -- Locked as by a foreign key: nobody takes a set away while cards are put into it.
    WITH used AS MATERIALIZED (SELECT DISTINCT set_id FROM fresh),
        there AS MATERIALIZED (
            SELECT set_id FROM card_sets WHERE set_id IN (SELECT set_id FROM used) ORDER BY set_id FOR KEY SHARE)
    SELECT set_id INTO missing FROM used WHERE set_id NOT IN (SELECT set_id FROM there) LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE foreign_key_violation USING MESSAGE = format('a card of set %s, which does not exist', missing);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cards_new_have_sets AFTER INSERT ON cards REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION cards_have_sets();

-- Cards don't change their set, sets don't change their number.
CREATE FUNCTION catalog_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = format('%s: %s is refused', TG_TABLE_NAME, TG_ARGV[0]);
END $$;
CREATE TRIGGER cards_stay_in_set BEFORE UPDATE OF set_id ON cards
    FOR EACH ROW WHEN (old.set_id <> new.set_id) EXECUTE FUNCTION catalog_refuse_change('another set');
CREATE TRIGGER card_sets_keep_id BEFORE UPDATE OF set_id ON card_sets
    FOR EACH ROW WHEN (old.set_id <> new.set_id) EXECUTE FUNCTION catalog_refuse_change('another number');

CREATE FUNCTION card_sets_are_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM cards WHERE set_id = old.set_id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('set %s has cards', old.code);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER card_sets_gone_are_empty AFTER DELETE ON card_sets
    FOR EACH ROW EXECUTE FUNCTION card_sets_are_empty();

-- How often something changed: whoever keeps what they read keeps with it the sums they saw before, and it is good for as
-- long as they are the same. Counted in the transaction that changes it, so never before it can be seen. In rows by
-- backend, so that writers do not wait for each other; begun by chance, so that no two databases have the same sums.
CREATE TABLE catalog_changes (
    shard int PRIMARY KEY,
    cards bigint NOT NULL DEFAULT 0,
    market bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO catalog_changes VALUES (-1, (random() * 1e15)::bigint, (random() * 1e15)::bigint);

CREATE FUNCTION catalog_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM touched) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO catalog_changes
        VALUES (pg_backend_pid() % 1024, (TG_ARGV[0] = 'cards')::int, (TG_ARGV[0] = 'market')::int)
    ON CONFLICT (shard) DO UPDATE
        SET cards = catalog_changes.cards + excluded.cards, market = catalog_changes.market + excluded.market;
    RETURN NULL;
END $$;
DO $$
DECLARE
    source record;
BEGIN
    FOR source IN SELECT * FROM (VALUES ('cards', 'cards'), ('card_sets', 'cards'), ('card_market', 'market')) AS v (relation, kind) LOOP
        EXECUTE format('CREATE TRIGGER catalog_new AFTER INSERT ON %I REFERENCING NEW TABLE AS touched
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed(%L)', source.relation, source.kind);
        EXECUTE format('CREATE TRIGGER catalog_other AFTER UPDATE ON %I REFERENCING NEW TABLE AS touched
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed(%L)', source.relation, source.kind);
        EXECUTE format('CREATE TRIGGER catalog_gone AFTER DELETE ON %I REFERENCING OLD TABLE AS touched
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed(%L)', source.relation, source.kind);
        EXECUTE format('CREATE TRIGGER catalog_none AFTER TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed(%L)', source.relation, source.kind);
    END LOOP;
END $$;

-- Words are folded by domain/catalog/words.py, for cards and for searches alike. What else is filtered by stands among them
-- as marks, so that one index finds what has all of it.
UPDATE cards SET document = document || array_to_tsvector(array_append(
    ARRAY(SELECT '=' || left(md5(key || E'\x1f' || value), 16) FROM jsonb_each_text(traits)),
    '=' || left(md5(E'\x1f' || rarity), 16)));
DROP INDEX cards_traits;
DROP FUNCTION catalog_document(text, text, text, jsonb, text);
DROP FUNCTION catalog_folded(text);

-- One card in sixteen, by chance but always the same ones: what is true of very many cards is estimated from them. In
-- parts, each one card in 1024; of a large catalog fewer parts are read.
CREATE FUNCTION catalog_part(card_id bigint) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(card_id, 0) & 1023)::int
$$;
CREATE TABLE card_sample (
    part int NOT NULL,
    card_id bigint NOT NULL,
    set_id bigint NOT NULL,
    rarity text NOT NULL,
    traits jsonb NOT NULL,
    document tsvector NOT NULL,
    PRIMARY KEY (part, card_id)
);
INSERT INTO card_sample SELECT catalog_part(card_id) AS part, card_id, set_id, rarity, traits, document FROM cards
    WHERE catalog_part(card_id) < 64 ORDER BY part;

CREATE FUNCTION cards_sampled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE card_sample;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM card_sample s USING gone g WHERE s.part = catalog_part(g.card_id) AND s.card_id = g.card_id;
    ELSE
        -- In the order of the parts: those that are read stand together.
        INSERT INTO card_sample SELECT catalog_part(card_id) AS part, card_id, set_id, rarity, traits, document FROM fresh
            WHERE catalog_part(card_id) < 64 ORDER BY part, card_id
        ON CONFLICT (part, card_id) DO UPDATE
            SET rarity = excluded.rarity, traits = excluded.traits, document = excluded.document;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cards_new_sampled AFTER INSERT ON cards REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION cards_sampled();
CREATE TRIGGER cards_other_sampled AFTER UPDATE ON cards REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION cards_sampled();
CREATE TRIGGER cards_gone_sampled AFTER DELETE ON cards REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION cards_sampled();
CREATE TRIGGER cards_none_sampled AFTER TRUNCATE ON cards
    FOR EACH STATEMENT EXECUTE FUNCTION cards_sampled();
