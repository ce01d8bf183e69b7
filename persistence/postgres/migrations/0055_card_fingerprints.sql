-- Fingerprints of cards' pictures, by which a card is found in a photograph. Times are milliseconds.
CREATE TABLE card_fingerprints (
    -- Of a card that has pictures. Triggers in place of a foreign key: cards are written in pages of thousands.
    card_id bigint PRIMARY KEY,
    -- NULL: not computed yet, or no picture of the card is stored here.
    fingerprint bit(256),
    -- Counts the changes of the card's pictures: a result counts for the version that it was computed from.
    version int NOT NULL DEFAULT 1,
    attempts int NOT NULL DEFAULT 0,
    -- When it has to be computed; NULL: nothing is to be done.
    due_at bigint DEFAULT 0
);
CREATE INDEX card_fingerprints_due ON card_fingerprints (due_at, card_id) WHERE due_at IS NOT NULL;

CREATE FUNCTION cards_have_pictures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM card_fingerprints WHERE card_id IN (SELECT card_id FROM former);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO card_fingerprints (card_id) SELECT card_id FROM fresh WHERE images <> '{}' ORDER BY card_id
        ON CONFLICT (card_id) DO NOTHING;
    ELSE
        INSERT INTO card_fingerprints (card_id)
        SELECT f.card_id FROM fresh f JOIN former USING (card_id) WHERE f.images <> former.images ORDER BY f.card_id
        ON CONFLICT (card_id) DO UPDATE
            SET fingerprint = NULL, version = card_fingerprints.version + 1, attempts = 0, due_at = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cards_new_pictures AFTER INSERT ON cards REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION cards_have_pictures();
CREATE TRIGGER cards_other_pictures AFTER UPDATE ON cards REFERENCING OLD TABLE AS former NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION cards_have_pictures();
CREATE TRIGGER cards_gone_pictures AFTER DELETE ON cards REFERENCING OLD TABLE AS former
    FOR EACH STATEMENT EXECUTE FUNCTION cards_have_pictures();

-- The cards that are there.
INSERT INTO card_fingerprints (card_id) SELECT card_id FROM cards WHERE images <> '{}' ORDER BY card_id;
