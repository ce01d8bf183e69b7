-- Who traded with whom.
CREATE INDEX trade_copies_by_giver ON trade_copies (giver_id, trade_id);
CREATE INDEX trade_copies_by_receiver ON trade_copies (receiver_id, trade_id);
