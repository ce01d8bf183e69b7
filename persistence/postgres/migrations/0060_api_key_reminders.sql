-- When the owner of an API key was told that it expires soon, in milliseconds.
ALTER TABLE api_keys ADD COLUMN reminded_at bigint;
