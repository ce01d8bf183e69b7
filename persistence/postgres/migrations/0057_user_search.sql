-- Users are found by the beginning of their names, in any locale of the database.
CREATE INDEX users_username_prefix ON users (lower(username) text_pattern_ops);
