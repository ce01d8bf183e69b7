-- When the user of a session gave the password again in it, in milliseconds; NULL: never.
ALTER TABLE log_ins ADD COLUMN proved_at bigint;
