-- Roles (domain/permissions.py), suspensions, and what gateways have to hear of both. Times in milliseconds.

-- Who is there could do everything before there were roles. Operators are admins now.
UPDATE users SET roles = array_replace(roles, 'operator', 'admin');
UPDATE users SET roles = ARRAY['collector', 'seller', 'minter'] || roles;

CREATE FUNCTION clock_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Of each user the last one. Times that have passed, and rows that are gone, mean the same.
CREATE TABLE suspensions (
    user_id bigint PRIMARY KEY REFERENCES users,
    -- NULL: until a moderator reinstates the user.
    until bigint,
    reason text NOT NULL,
    by_user bigint REFERENCES users,
    at bigint NOT NULL
);

-- Roles as they count: while a user is suspended, only that.
CREATE FUNCTION effective_roles(its_user bigint, its_roles text[]) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM suspensions s WHERE s.user_id = its_user AND (s.until IS NULL OR s.until > clock_ms())
    ) THEN ARRAY['suspended'] ELSE its_roles END
$$;

-- Gateways read these every half second: tokens that a user had before are not accepted any more. With a key, it was
-- revoked. Old rows are deleted: by then such tokens have expired.
CREATE TABLE access_changes (
    change_id bigint PRIMARY KEY DEFAULT next_id(),
    user_id bigint NOT NULL,
    key_id bigint,
    at bigint NOT NULL DEFAULT clock_ms()
);
CREATE INDEX access_changes_at ON access_changes (at);
