-- Tokens carry the version of what their user may do, so whether one is from before a change needs no clock: two clocks
-- differ, and the time of a token has whole seconds.
ALTER TABLE users ADD COLUMN access_version bigint NOT NULL DEFAULT 0;
-- Of revoked keys it is 0. Rows of before belong to tokens without a version, which counts as 0.
ALTER TABLE access_changes ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE access_changes ALTER COLUMN version DROP DEFAULT;
UPDATE users SET access_version = 1 WHERE user_id IN (SELECT user_id FROM access_changes WHERE key_id IS NULL);
