-- A log-in is a session: where it began, and when its refresh token was used last. Times in milliseconds.
ALTER TABLE log_ins
    ADD COLUMN device text NOT NULL DEFAULT '',
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN refreshed_at bigint;

-- Sessions that ended before their time: their access tokens are refused as long as they would be good.
CREATE TABLE ended_sessions (
    session text PRIMARY KEY,
    ended_at bigint NOT NULL
);
CREATE INDEX ended_sessions_age ON ended_sessions (ended_at);

-- Whatever ends a session deletes its row.
CREATE FUNCTION note_ended_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    IF OLD.expires_at > now_ms THEN
        INSERT INTO ended_sessions VALUES (OLD.family, now_ms) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER log_in_ended AFTER DELETE ON log_ins FOR EACH ROW EXECUTE FUNCTION note_ended_session();
