-- Money: accounts, the transfers between them, and what is held. Amounts are integers of base units, times milliseconds.
-- Why it is so: docs/decisions/0017-one-row-is-a-debit-and-a-credit.md.

CREATE TABLE ledger_currencies (
    currency text PRIMARY KEY,
    decimals int NOT NULL
);
INSERT INTO ledger_currencies VALUES ('USDC', 6);

-- A balance is `posted`; `held` of it is promised; the rest is available. `seq` and `hash` are those of the account's
-- newest entry. Only what the house keeps (money from outside, the faucet) may go below zero.
CREATE TABLE ledger_accounts (
    account_id bigint PRIMARY KEY DEFAULT next_id(),
    -- 0: the house.
    owner_id bigint NOT NULL,
    kind text NOT NULL,
    currency text NOT NULL REFERENCES ledger_currencies,
    may_overdraw boolean NOT NULL,
    posted bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL,
    UNIQUE (owner_id, kind, currency),
    CONSTRAINT ledger_kinds CHECK (kind IN ('user', 'faucet', 'outside') AND (kind = 'user') = (owner_id <> 0)),
    CONSTRAINT ledger_held CHECK (held >= 0),
    CONSTRAINT ledger_covered CHECK (may_overdraw OR posted >= held),
    CONSTRAINT ledger_bounds CHECK (abs(posted) <= CASE WHEN may_overdraw THEN 1::bigint << 62 ELSE (1::bigint << 53) - 1 END)
) WITH (fillfactor = 60);

-- Opens what is missing. An account's chain begins with a hash of its id.
CREATE FUNCTION ledger_open(owners bigint[], its_kind text, its_currency text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger_accounts (account_id, owner_id, kind, currency, may_overdraw, hash)
    SELECT id, owner, its_kind, its_currency, its_kind <> 'user', sha256('ece-ledger-v1'::bytea || int8send(id))
    FROM (
        SELECT DISTINCT ON (owner) owner, next_id() AS id FROM unnest(owners) AS owner
        WHERE NOT EXISTS (
            SELECT FROM ledger_accounts
            WHERE owner_id = owner AND kind = its_kind AND currency = its_currency
        )
        ORDER BY owner
    ) AS missing
    ON CONFLICT DO NOTHING
$$;

-- One row is a debit of one account and a credit of another, of the same amount: that a set of them does not sum to
-- zero can't be written down. Rows are only ever added. What only holds money, or lets go of it, has no credit side.
-- There are no foreign keys: ledger_execute has locked the accounts when it writes, and `ece ledger check` looks.
CREATE TABLE ledger_transfers (
    transfer_id bytea PRIMARY KEY,
    action text NOT NULL,
    -- What a `post`, a `void` or an `expire` ends: each pending transfer ends once.
    pending_id bytea UNIQUE,
    debit_account bigint NOT NULL,
    credit_account bigint NOT NULL,
    amount bigint NOT NULL,
    kind text NOT NULL,
    -- The id of what it is about: an auction, a withdrawal.
    about bigint,
    at bigint NOT NULL,
    expires_at bigint,
    -- The accounts after it.
    debit_seq bigint NOT NULL,
    debit_posted bigint NOT NULL,
    debit_held bigint NOT NULL,
    debit_hash bytea NOT NULL,
    credit_seq bigint,
    credit_posted bigint,
    credit_held bigint,
    credit_hash bytea,
    CONSTRAINT ledger_transfer_ids CHECK (length(transfer_id) = 16),
    CONSTRAINT ledger_two_accounts CHECK (debit_account <> credit_account),
    CONSTRAINT ledger_amounts CHECK (amount BETWEEN 1 AND (1::bigint << 53) - 1),
    CONSTRAINT ledger_actions CHECK (
        CASE WHEN action IN ('transfer', 'pend') THEN pending_id IS NULL
        ELSE action IN ('post', 'void', 'expire') AND pending_id IS NOT NULL END
    ),
    CONSTRAINT ledger_sides CHECK ((action IN ('transfer', 'post')) = (credit_seq IS NOT NULL)),
    CONSTRAINT ledger_whole_sides CHECK (num_nulls(credit_seq, credit_posted, credit_held, credit_hash) IN (0, 4))
);
CREATE UNIQUE INDEX ledger_transfers_debit ON ledger_transfers (debit_account, debit_seq);
CREATE UNIQUE INDEX ledger_transfers_credit ON ledger_transfers (credit_account, credit_seq) WHERE credit_seq IS NOT NULL;

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledger_transfers_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- An account's entries: the sides of its transfers. `amount` is what it moved, with its sign; zero where money was
-- held or let go of.
CREATE VIEW ledger_entries AS
    SELECT debit_account AS account_id, debit_seq AS seq, transfer_id, action, pending_id, kind, about, at, expires_at,
        amount AS size, CASE WHEN action IN ('transfer', 'post') THEN -amount ELSE 0 END AS amount,
        debit_posted AS posted, debit_held AS held, debit_hash AS hash
    FROM ledger_transfers
    UNION ALL
    SELECT credit_account, credit_seq, transfer_id, action, pending_id, kind, about, at, expires_at,
        amount, amount, credit_posted, credit_held, credit_hash
    FROM ledger_transfers WHERE credit_seq IS NOT NULL;

-- What is held now. `reference` is a pending transfer's id, or names an auction or a trade (domain/ledger/ids.py).
CREATE TABLE ledger_holds (
    reference bytea NOT NULL,
    account_id bigint NOT NULL,
    amount bigint NOT NULL,
    expires_at bigint,
    PRIMARY KEY (reference, account_id),
    CONSTRAINT ledger_hold_amounts CHECK (amount BETWEEN 1 AND (1::bigint << 53) - 1),
    CONSTRAINT ledger_hold_references CHECK (length(reference) = 16)
) WITH (fillfactor = 70);
CREATE INDEX ledger_holds_by_account ON ledger_holds (account_id);
CREATE INDEX ledger_holds_expiring ON ledger_holds (expires_at) WHERE expires_at IS NOT NULL;

-- Does orders one after the other, each on what those before it left, all in one statement. Accounts and ids come as
-- arrays without repetition, the accounts rising; orders name them by their place in them. An order that is refused
-- changes nothing, and where fewer than `all_of` can be done none does. What was done is answered with code 'done', an order
-- whose id was used before with 'exists'. The rules are those of domain/ledger/rules.py.
CREATE FUNCTION ledger_execute(
    now_ms bigint, all_of int, accounts bigint[], ids bytea[],
    actions text[], id_places int[], pending_places int[], debits int[], credits int[],
    amounts bigint[], kinds text[], abouts bigint[], expiries bigint[]
) RETURNS TABLE (code text, available bigint, required bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    a_posted bigint[];
    a_held bigint[];
    a_seq bigint[];
    a_hash bytea[];
    a_currency text[];
    a_overdraw boolean[];
    used boolean[] := array_fill(false, ARRAY[cardinality(ids)]);
    hold_amounts bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
    hold_expiries bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
    codes text[] := array_fill(NULL::text, ARRAY[cardinality(actions)]);
    haves bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(actions)]);
    needs bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(actions)]);
    done int[];
    ended bytea[];
    begun boolean := false;
    o record;
    d int; c int; n int := 0; free bigint; body text; verdict text; moves boolean;
    -- The sides of what is done, in the order of `done`.
    d_seq bigint[]; d_posted bigint[]; d_held bigint[]; d_hash bytea[];
    c_seq bigint[]; c_posted bigint[]; c_held bigint[]; c_hash bytea[]; sums bigint[];
BEGIN
    -- In the order of their ids: whoever locks several can wait for others, but not in a circle.
    PERFORM FROM ledger_accounts WHERE account_id = ANY(accounts) ORDER BY account_id FOR NO KEY UPDATE;
    SELECT array_agg(posted ORDER BY nth), array_agg(held ORDER BY nth), array_agg(seq ORDER BY nth),
        array_agg(hash ORDER BY nth), array_agg(currency ORDER BY nth), array_agg(may_overdraw ORDER BY nth)
        INTO a_posted, a_held, a_seq, a_hash, a_currency, a_overdraw
        FROM unnest(accounts) WITH ORDINALITY AS u (wanted, nth) LEFT JOIN ledger_accounts ON account_id = wanted;
    FOR o IN SELECT array_position(ids, transfer_id) AS place FROM ledger_transfers WHERE transfer_id = ANY(ids) LOOP
        used[o.place] := true;
    END LOOP;
    FOR o IN SELECT array_position(ids, reference) AS place, amount, expires_at FROM ledger_holds WHERE reference = ANY(ids) LOOP
        hold_amounts[o.place] := o.amount;
        hold_expiries[o.place] := o.expires_at;
    END LOOP;

    FOR o IN SELECT * FROM unnest(actions, id_places, pending_places, debits, credits, amounts, kinds, abouts, expiries)
        WITH ORDINALITY AS u (action, id, pending, debit, credit, amount, kind, about, expires_at, place) LOOP
        d := o.debit;
        c := o.credit;
        free := a_posted[d] - a_held[d];
        moves := o.action IN ('transfer', 'post');
        verdict := CASE
            WHEN used[o.id] THEN 'exists'
            WHEN a_seq[d] IS NULL OR a_seq[c] IS NULL THEN 'account_not_found'
            WHEN a_currency[d] <> a_currency[c] THEN 'currency_mismatch'
            WHEN o.pending IS NULL AND o.expires_at <= now_ms THEN 'expiry_passed'
            WHEN o.pending IS NOT NULL AND hold_amounts[o.pending] IS NULL THEN 'transfer_not_pending'
            WHEN o.action = 'post' AND o.amount > hold_amounts[o.pending] THEN 'amount_above_pending'
            WHEN o.action = 'post' AND hold_expiries[o.pending] <= now_ms THEN 'transfer_expired'
            WHEN o.action = 'expire' AND coalesce(hold_expiries[o.pending] > now_ms, true) THEN 'transfer_not_expired'
            WHEN o.pending IS NULL AND o.amount > free AND NOT a_overdraw[d] THEN 'insufficient_funds'
            WHEN moves AND a_posted[c] > (CASE WHEN a_overdraw[c] THEN 1::bigint << 62 ELSE (1::bigint << 53) - 1 END) - o.amount
                THEN 'balance_too_large'
            WHEN moves AND a_overdraw[d] AND a_posted[d] < o.amount - (1::bigint << 62) THEN 'balance_too_large'
            WHEN o.action = 'pend' AND a_held[d] > (1::bigint << 62) - o.amount THEN 'balance_too_large'
            ELSE 'done'
        END;
        codes[o.place] := verdict;
        IF verdict = 'insufficient_funds' THEN
            haves[o.place] := free;
            needs[o.place] := o.amount;
        END IF;
        CONTINUE WHEN verdict <> 'done';

        n := n + 1;
        done[n] := o.place;
        used[o.id] := true;
        sums[n] := o.amount;
        IF o.action = 'pend' THEN
            a_held[d] := a_held[d] + o.amount;
            hold_amounts[o.id] := o.amount;
            hold_expiries[o.id] := o.expires_at;
            begun := true;
        ELSIF o.pending IS NOT NULL THEN
            a_held[d] := a_held[d] - hold_amounts[o.pending];
            IF NOT moves THEN
                sums[n] := hold_amounts[o.pending];
            END IF;
            hold_amounts[o.pending] := NULL;
            ended := ended || ids[o.pending];
        END IF;
        body := concat(o.action, '|', encode(ids[o.id], 'hex'), '|', encode(ids[o.pending], 'hex'), '|', o.kind, '|',
            o.about, '|', now_ms, '|', o.expires_at, '|', sums[n], '|');
        IF moves THEN
            a_posted[d] := a_posted[d] - o.amount;
            a_posted[c] := a_posted[c] + o.amount;
            a_seq[c] := a_seq[c] + 1;
            a_hash[c] := sha256(a_hash[c] || convert_to(
                concat(body, accounts[c], '|', a_seq[c], '|', a_posted[c], '|', a_held[c]), 'UTF8'));
            c_seq[n] := a_seq[c];
            c_posted[n] := a_posted[c];
            c_held[n] := a_held[c];
            c_hash[n] := a_hash[c];
        ELSE
            c_seq[n] := NULL;
            c_posted[n] := NULL;
            c_held[n] := NULL;
            c_hash[n] := NULL;
        END IF;
        a_seq[d] := a_seq[d] + 1;
        a_hash[d] := sha256(a_hash[d] || convert_to(
            concat(body, accounts[d], '|', a_seq[d], '|', a_posted[d], '|', a_held[d]), 'UTF8'));
        d_seq[n] := a_seq[d];
        d_posted[n] := a_posted[d];
        d_held[n] := a_held[d];
        d_hash[n] := a_hash[d];
    END LOOP;

    IF n > 0 AND n >= all_of THEN
        INSERT INTO ledger_transfers
            SELECT ids[id_places[p]], actions[p], ids[pending_places[p]], accounts[debits[p]], accounts[credits[p]], amount,
                kinds[p], abouts[p], now_ms, expiries[p], s1, p1, h1, x1, s2, p2, h2, x2
            FROM unnest(done, sums, d_seq, d_posted, d_held, d_hash, c_seq, c_posted, c_held, c_hash)
                AS u (p, amount, s1, p1, h1, x1, s2, p2, h2, x2);
        UPDATE ledger_accounts a SET posted = u.posted, held = u.held, seq = u.seq, hash = u.hash
            FROM unnest(accounts, a_posted, a_held, a_seq, a_hash) AS u (account_id, posted, held, seq, hash)
            WHERE a.account_id = u.account_id AND a.seq <> u.seq;
        IF ended IS NOT NULL THEN
            DELETE FROM ledger_holds WHERE reference = ANY(ended);
        END IF;
        IF begun THEN
            INSERT INTO ledger_holds
                SELECT ids[id_places[p]], accounts[debits[p]], amounts[p], expiries[p] FROM unnest(done) AS p
                WHERE actions[p] = 'pend' AND hold_amounts[id_places[p]] IS NOT NULL;
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM unnest(codes, haves, needs);
END
$$;

-- Brings holds on the accounts of users to between `at_least` and `at_most`, one after the other, all in one statement.
-- Owners and (reference, owner) pairs come as arrays without repetition; orders name a pair by its place, and a pair its
-- owner. What the balance does not cover changes nothing and is answered, by its place, with what would have been available
-- for it. The rules are those of domain/ledger/rules.py.
CREATE FUNCTION ledger_cover(
    its_currency text, owners bigint[], pair_references bytea[], pair_owners int[],
    pairs int[], at_least bigint[], at_most bigint[]
) RETURNS TABLE (place bigint, available bigint, required bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    a_id bigint[];
    a_free bigint[];
    a_held bigint[];
    p_old bigint[];
    p_new bigint[];
    o record;
    p int; a int; wanted bigint;
BEGIN
    PERFORM FROM ledger_accounts WHERE owner_id = ANY(owners) AND kind = 'user' AND currency = its_currency
        ORDER BY account_id FOR NO KEY UPDATE;
    SELECT array_agg(account_id ORDER BY nth), array_agg(posted - held ORDER BY nth), array_agg(held ORDER BY nth)
        INTO a_id, a_free, a_held
        FROM unnest(owners) WITH ORDINALITY AS u (owner, nth)
        LEFT JOIN ledger_accounts ON owner_id = owner AND kind = 'user' AND currency = its_currency;
    SELECT array_agg(coalesce(amount, 0) ORDER BY nth) INTO p_old
        FROM unnest(pair_references, pair_owners) WITH ORDINALITY AS u (its_reference, its_owner, nth)
        LEFT JOIN ledger_holds ON reference = its_reference AND account_id = a_id[its_owner];
    p_new := p_old;
    FOR o IN SELECT * FROM unnest(pairs, at_least, at_most) WITH ORDINALITY AS u (pair, least_, most, nth) LOOP
        p := o.pair;
        a := pair_owners[p];
        wanted := least(greatest(p_new[p], o.least_), o.most);
        IF wanted - p_new[p] > 0 AND wanted - p_new[p] > coalesce(a_free[a], 0) THEN
            place := o.nth;
            available := coalesce(a_free[a], 0) + p_new[p];
            required := wanted;
            RETURN NEXT;
        ELSE
            a_free[a] := a_free[a] - wanted + p_new[p];
            a_held[a] := a_held[a] + wanted - p_new[p];
            p_new[p] := wanted;
        END IF;
    END LOOP;
    UPDATE ledger_accounts l SET held = u.held FROM unnest(a_id, a_held) AS u (account_id, held)
        WHERE l.account_id = u.account_id AND l.held <> u.held;
    DELETE FROM ledger_holds h USING unnest(pair_references, pair_owners, p_old, p_new) AS u (reference, a, old, new)
        WHERE h.reference = u.reference AND h.account_id = a_id[u.a] AND u.new = 0 AND u.old > 0;
    INSERT INTO ledger_holds (reference, account_id, amount)
        SELECT u.reference, a_id[u.a], u.new
        FROM unnest(pair_references, pair_owners, p_old, p_new) AS u (reference, a, old, new)
        WHERE u.new > 0 AND u.new <> u.old
        ON CONFLICT (reference, account_id) DO UPDATE SET amount = excluded.amount;
END
$$;

-- Requests to pay out. The amount is held by a pending transfer with an id made of the withdrawal's
-- (domain/ledger/withdrawals.py).
CREATE TABLE ledger_withdrawals (
    withdrawal_id bigint PRIMARY KEY,
    user_id bigint NOT NULL,
    currency text NOT NULL REFERENCES ledger_currencies,
    amount bigint NOT NULL,
    destination text NOT NULL,
    state text NOT NULL,
    requested_at bigint NOT NULL,
    decided_at bigint,
    decided_by bigint,
    reason text,
    CONSTRAINT ledger_withdrawal_states CHECK (state IN ('requested', 'waiting_for_chain', 'rejected', 'cancelled'))
);
CREATE INDEX ledger_withdrawals_by_user ON ledger_withdrawals (user_id, withdrawal_id);
CREATE INDEX ledger_withdrawals_by_state ON ledger_withdrawals (state, withdrawal_id);
