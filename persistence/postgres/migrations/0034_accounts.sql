-- When a refresh token was spent (ms): for a short time after it the same successor is returned again, to two tabs that
-- refresh at the same moment. NULL: not spent, or before this column.
ALTER TABLE refresh_tokens ADD COLUMN spent_at bigint;
