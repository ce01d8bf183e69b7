-- Trades: their summary rows, who and what they are about, and what was executed or reversed. Amounts are base units,
-- times milliseconds, shares hundredths of a percent (basis points).

-- Follows the log; the columns are those of domain/trade/views.summary. Lists of ids are decimal, comma between them.
CREATE TABLE trades (
    trade_id bigint PRIMARY KEY,
    proposer_id bigint NOT NULL,
    parties text NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL,
    copies text NOT NULL,
    money bigint NOT NULL,
    expires_at bigint NOT NULL,
    fee_bp int NOT NULL,
    reason text,
    -- That of the dispute, if there is one.
    stage text,
    -- 0: it is not protected.
    protected_until bigint NOT NULL,
    updated_at bigint NOT NULL,
    epoch int NOT NULL,
    seq bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX trades_disputed ON trades (stage, trade_id) WHERE status = 'disputed';

CREATE TABLE trade_parties (
    user_id bigint NOT NULL,
    trade_id bigint NOT NULL,
    PRIMARY KEY (user_id, trade_id)
);
-- The copies of trades that are not executed yet and have not ended.
CREATE TABLE trade_items (
    copy_id bigint NOT NULL,
    trade_id bigint NOT NULL,
    PRIMARY KEY (copy_id, trade_id)
) WITH (fillfactor = 80);
CREATE INDEX trade_items_by_trade ON trade_items (trade_id);

-- What workers do next. Jobs of one trade differ by the place in its log.
CREATE FUNCTION add_trade_jobs(trade bigint, its_status text, its_seq bigint, after_seq bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO jobs (kind, key, run_at, payload)
    SELECT kind, id_text(trade) || ':' || its_seq, extract(epoch FROM statement_timestamp()) * 1000, payload
    FROM (
        VALUES ('notify_trade', convert_to(format('{"after": %s}', after_seq), 'UTF8')),
            (CASE its_status WHEN 'confirmed' THEN 'execute_trade' WHEN 'reversing' THEN 'reverse_trade' END, ''::bytea)
    ) AS work (kind, payload)
    WHERE kind IS NOT NULL
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION follow_added_trade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trade_parties SELECT user_id::bigint, NEW.trade_id FROM string_to_table(NEW.parties, ',') AS user_id
        ON CONFLICT DO NOTHING;
    IF NEW.status IN ('open', 'agreed', 'confirmed') AND NEW.copies <> '' THEN
        INSERT INTO trade_items SELECT copy_id::bigint, NEW.trade_id FROM string_to_table(NEW.copies, ',') AS copy_id
            ON CONFLICT DO NOTHING;
    END IF;
    PERFORM add_trade_jobs(NEW.trade_id, NEW.status, NEW.seq, 0);
    RETURN NULL;
END
$$;
CREATE TRIGGER trade_added AFTER INSERT ON trades FOR EACH ROW EXECUTE FUNCTION follow_added_trade();

CREATE FUNCTION follow_changed_trade() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    pending boolean := NEW.status IN ('open', 'agreed', 'confirmed');
BEGIN
    IF NOT pending THEN
        DELETE FROM trade_items WHERE trade_id = NEW.trade_id;
    ELSIF NEW.copies <> OLD.copies THEN
        DELETE FROM trade_items
            WHERE trade_id = NEW.trade_id AND NOT copy_id = ANY(string_to_array(NEW.copies, ',')::bigint[]);
        INSERT INTO trade_items SELECT copy_id::bigint, NEW.trade_id
            FROM string_to_table(nullif(NEW.copies, ''), ',') AS copy_id ON CONFLICT DO NOTHING;
    END IF;
    PERFORM add_trade_jobs(NEW.trade_id, nullif(NEW.status, OLD.status), NEW.seq, OLD.seq);
    RETURN NULL;
END
$$;
CREATE TRIGGER trade_changed AFTER UPDATE ON trades FOR EACH ROW
    WHEN (
        NEW.status <> OLD.status OR NEW.version <> OLD.version OR NEW.copies <> OLD.copies
        OR NEW.stage IS DISTINCT FROM OLD.stage
    ) EXECUTE FUNCTION follow_changed_trade();

-- A copy that gets another owner, or leaves custody, ends the other trades that it is part of.
CREATE FUNCTION invalidate_trades() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    why text := 'withdrawn';
    its_trade bigint;
BEGIN
    IF NEW.owner_id <> OLD.owner_id THEN
        -- Where the chain has moved it, its provenance is written later.
        SELECT CASE p.reason WHEN 'sale' THEN 'sold' WHEN 'trade' THEN 'traded' WHEN 'gift' THEN 'given'
                WHEN 'refund' THEN 'refunded' END,
            CASE p.reason WHEN 'trade' THEN p.source_id END
            INTO why, its_trade FROM provenance p WHERE p.copy_id = NEW.copy_id AND p.seq = NEW.provenance_seq;
    END IF;
    INSERT INTO jobs (kind, key, payload, run_at)
        SELECT 'invalidate_trade', id_text(trade_id) || ':' || id_text(NEW.copy_id),
            convert_to(to_json(coalesce(why, 'moved_outside'))::text, 'UTF8'), extract(epoch FROM statement_timestamp()) * 1000
        FROM trade_items WHERE copy_id = NEW.copy_id AND trade_id IS DISTINCT FROM its_trade
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER copies_leave_trades AFTER UPDATE ON copies FOR EACH ROW
    WHEN (NEW.owner_id <> OLD.owner_id OR (NEW.place = 'withdrawn' AND OLD.place <> 'withdrawn'))
    EXECUTE FUNCTION invalidate_trades();

-- What became of an agreement or of the order to reverse it: decided once, in the transaction that moves copies and
-- money, before the trade's log says so. `ordered_seq` is the event that ordered it, `event_hash` that event's hash.
CREATE TABLE trade_settlements (
    trade_id bigint NOT NULL,
    ordered_seq bigint NOT NULL,
    kind text NOT NULL,
    -- NULL: done; else why it was impossible, and because of which copy.
    code text,
    copy_id bigint,
    at bigint NOT NULL,
    currency text NOT NULL,
    money bigint NOT NULL,
    fee bigint NOT NULL,
    royalties bigint NOT NULL,
    -- Who paid what to whom: [[kind, from, to or 0 for the house, amount], ...].
    legs jsonb NOT NULL DEFAULT '[]',
    protected_until bigint NOT NULL DEFAULT 0,
    dispute_until bigint NOT NULL DEFAULT 0,
    event_hash bytea NOT NULL,
    -- As in `settlements`.
    trade_settlement_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (trade_id, ordered_seq),
    CONSTRAINT trade_settlement_done CHECK (code IS NOT NULL OR copy_id IS NULL),
    CONSTRAINT trade_settlement_kinds CHECK (kind IN ('execution', 'reversal')),
    CONSTRAINT trade_settlement_sums CHECK (fee >= 0 AND royalties >= 0 AND fee + royalties <= money)
);
CREATE UNIQUE INDEX trade_settlements_once ON trade_settlements (trade_id, kind) WHERE code IS NULL;
CREATE TRIGGER trade_settlements_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON trade_settlements
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- The copies of executed trades. `value` is the money that was paid for it, 0 where copies were paid with copies.
CREATE TABLE trade_copies (
    trade_id bigint NOT NULL,
    copy_id bigint NOT NULL,
    card_id bigint NOT NULL,
    giver_id bigint NOT NULL,
    receiver_id bigint NOT NULL,
    currency text NOT NULL,
    value bigint NOT NULL,
    fee bigint NOT NULL,
    royalties bigint NOT NULL,
    -- What the giver had paid for it, if anything, and since when they had it.
    giver_cost bigint,
    giver_since bigint NOT NULL,
    at bigint NOT NULL,
    trade_copy_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (trade_id, copy_id)
);
CREATE INDEX trade_copies_by_card ON trade_copies (card_id, trade_id);
CREATE TRIGGER trade_copies_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON trade_copies
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- Who trades from a new log-in is protected.
ALTER TABLE log_ins ADD COLUMN started_at bigint NOT NULL DEFAULT (extract(epoch FROM statement_timestamp()) * 1000)::bigint;
CREATE INDEX log_ins_by_user ON log_ins (user_id, started_at);
