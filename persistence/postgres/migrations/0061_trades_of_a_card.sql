-- The trades of a card, the newest first (persistence/trades/history.py), as sales_by_card for its sales.
CREATE INDEX trade_copies_of_card ON trade_copies (card_id, trade_copy_no);
DROP INDEX trade_copies_by_card;
