-- Text as domain/text.py, domain/users.py and domain/catalog/words.py make it.

-- Users are compared by forms that domain/users.py makes: e-mail addresses by their key, names of people by what they look
-- like. Users without a password, whom replays and benches act as, are nobody's double and have no skeleton.
ALTER TABLE users ADD COLUMN email_key text, ADD COLUMN skeleton text;
UPDATE users SET email_key = lower(normalize(email, NFC));
ALTER TABLE users ALTER COLUMN email_key SET NOT NULL;
DROP INDEX users_email;
CREATE UNIQUE INDEX users_email ON users (email_key);

-- Of those who look alike already only the first has it.
UPDATE users SET skeleton = first.skeleton FROM (
    SELECT DISTINCT ON (skeleton) user_id, replace(translate(lower(username), '01i', 'oll'), 'm', 'rn') AS skeleton
    FROM users WHERE password_hash IS NOT NULL ORDER BY skeleton, user_id
) AS first WHERE first.user_id = users.user_id;
CREATE UNIQUE INDEX users_skeleton ON users (skeleton);

-- By what searches take hold of a card (migration 0010): also by one character of Chinese or Japanese, of which words have
-- two (domain/catalog/words.py).
CREATE OR REPLACE FUNCTION card_handles(document tsvector, set_code text, rarity text, traits jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT DISTINCT 'w:' || left(word, 3) FROM unnest(tsvector_to_array(document)) AS word
        UNION SELECT 'w:' || left(word, 1) FROM unnest(tsvector_to_array(document)) AS word
            WHERE octet_length(word) > length(word)
        UNION ALL SELECT 't:' || key || ':' || value FROM jsonb_each_text(traits)
        UNION ALL SELECT unnest(ARRAY['s:' || set_code, 'r:' || rarity]))
$$;
