-- Sessions that ended before their time are changes of access like others: gateways read one table instead of two.
ALTER TABLE access_changes ALTER COLUMN user_id DROP NOT NULL, ADD COLUMN session text;
ALTER TABLE access_changes ADD CONSTRAINT access_changes_kinds CHECK ((user_id IS NULL) = (session IS NOT NULL));
INSERT INTO access_changes (session, at, version) SELECT session, ended_at, 0 FROM ended_sessions;

-- Whatever ends a session deletes its row in log_ins (0039).
CREATE OR REPLACE FUNCTION note_ended_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.expires_at > clock_ms() THEN
        INSERT INTO access_changes (session, version) VALUES (OLD.family, 0);
    END IF;
    RETURN NULL;
END
$$;
DROP TABLE ended_sessions;
