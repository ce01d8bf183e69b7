-- One trigger adds the jobs of mails (0040) and of push messages (0051). Whatever stores a notification adds them in the
-- same transaction. Only verified addresses get mail: an address may be somebody else's. A job that runs now may have
-- missed this notification, so it runs again.
CREATE FUNCTION add_notification_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (kind, key, run_at)
    SELECT DISTINCT job.kind, id_text(a.user_id) || ':' || a.kind, 0
    FROM added a JOIN users u USING (user_id) LEFT JOIN notification_preferences p USING (user_id, kind)
    CROSS JOIN LATERAL (VALUES
        ('mail_notifications', u.verified_at IS NOT NULL AND p.email IS NOT FALSE),
        ('push_notifications', p.push IS NOT FALSE
            AND EXISTS (SELECT FROM push_subscriptions s WHERE s.user_id = a.user_id))
    ) AS job(kind, wanted)
    WHERE job.wanted
    ORDER BY 1, 2
    ON CONFLICT (kind, key) DO UPDATE SET run_at = 0, claim = NULL, attempts = 0, dead = false
        WHERE jobs.claim IS NOT NULL OR jobs.dead;
    RETURN NULL;
END
$$;
DROP TRIGGER notifications_are_mailed ON notifications;
DROP TRIGGER notifications_are_pushed ON notifications;
DROP FUNCTION add_notification_mails;
DROP FUNCTION add_notification_pushes;
CREATE TRIGGER notifications_are_sent AFTER INSERT ON notifications REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_notification_jobs();

-- 0053 moved the addresses of waiting mails without the user that a mail is about: exports and deletions missed them.
UPDATE mail_addresses m SET user_id = u.user_id
FROM jobs j JOIN users u ON id_text(u.user_id) = convert_from(j.payload, 'UTF8')::jsonb ->> 'user'
WHERE j.kind = 'mail' AND m.job_key = j.key AND m.user_id IS NULL;
