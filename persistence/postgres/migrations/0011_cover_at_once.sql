-- Bids are covered at less cost: one order for a bid that is outbid within its batch, and no order of its own where all can pay.

-- Asks of holds on the accounts of users, one after the other, all in one statement: that there is `at_least`, counting what
-- is held already; then brings the hold to between `at_least` and `at_most`, which is the stronger. A hold that is above
-- `unless_above` stays as it is: it is for a later bid. Owners and (reference, owner) pairs come as arrays without
-- repetition; orders name a pair by its place, and a pair its owner. What the balance does not cover changes nothing and is
-- answered, by its place, with what would have been available for it. The rules are those of domain/ledger/rules.py.
CREATE OR REPLACE FUNCTION ledger_cover(
    its_currency text, owners bigint[], pair_references bytea[], pair_owners int[],
    pairs int[], at_least bigint[], at_most bigint[], unless_above bigint[]
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
    FOR o IN SELECT * FROM unnest(pairs, at_least, at_most, unless_above) WITH ORDINALITY AS u (pair, least_, most, above, nth) LOOP
        p := o.pair;
        a := pair_owners[p];
        IF o.least_ > p_new[p] AND o.least_ - p_new[p] > coalesce(a_free[a], 0) THEN
            place := o.nth;
            available := coalesce(a_free[a], 0) + p_new[p];
            required := o.least_;
            RETURN NEXT;
            CONTINUE;
        END IF;
        CONTINUE WHEN p_new[p] > o.above;
        wanted := least(greatest(p_new[p], o.least_), o.most);
        a_free[a] := a_free[a] - wanted + p_new[p];
        a_held[a] := a_held[a] + wanted - p_new[p];
        p_new[p] := wanted;
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

-- The same where in whatever order all can be done, which is nearly always; false, and nothing done, where that is not sure.
-- `peaks`: for each of the owners what there has to be for a moment, beside the holds. No (reference, owner) pair comes twice.
-- Accounts whose holds don't change are not locked: that something was there for a moment is all that was asked.
CREATE FUNCTION ledger_cover_at_once(
    its_currency text, owners bigint[], peaks bigint[],
    pair_references bytea[], pair_owners bigint[], at_least bigint[], at_most bigint[], unless_above bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c_reference bytea[];
    c_account bigint[];
    c_change bigint[];
    c_new bigint[];
    short boolean;
BEGIN
    PERFORM FROM ledger_accounts WHERE owner_id = ANY(pair_owners) AND kind = 'user' AND currency = its_currency
        ORDER BY account_id FOR NO KEY UPDATE;
    SELECT array_agg(reference), array_agg(account_id), array_agg(new - old), array_agg(new)
        INTO c_reference, c_account, c_change, c_new
        FROM (
            SELECT u.reference, account_id, coalesce(amount, 0) AS old,
                CASE WHEN amount > above THEN amount ELSE least(greatest(coalesce(amount, 0), least_), most) END AS new
            FROM unnest(pair_references, pair_owners, at_least, at_most, unless_above)
                AS u (reference, owner, least_, most, above)
            LEFT JOIN ledger_accounts ON owner_id = owner AND kind = 'user' AND currency = its_currency
            LEFT JOIN ledger_holds h USING (reference, account_id)
        ) AS pair
        WHERE new <> old;
    SELECT bool_or(peak + coalesce(raised, 0) > coalesce(posted - held, 0)) INTO short
        FROM unnest(owners, peaks) AS u (owner, peak)
        LEFT JOIN ledger_accounts ON owner_id = owner AND kind = 'user' AND currency = its_currency
        LEFT JOIN (
            SELECT account_id, sum(change) AS raised FROM unnest(c_account, c_change) AS c (account_id, change)
            WHERE change > 0 GROUP BY account_id
        ) AS raise USING (account_id);
    IF short OR array_position(c_account, NULL) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF c_new IS NULL THEN
        RETURN true;
    END IF;
    UPDATE ledger_accounts l SET held = held + u.change
        FROM (
            SELECT account_id, sum(change)::bigint AS change FROM unnest(c_account, c_change) AS c (account_id, change)
            GROUP BY account_id
        ) AS u
        WHERE l.account_id = u.account_id AND u.change <> 0;
    IF 0 = ANY(c_new) THEN
        DELETE FROM ledger_holds h USING unnest(c_reference, c_account, c_new) AS u (reference, account_id, new)
            WHERE h.reference = u.reference AND h.account_id = u.account_id AND new = 0;
    END IF;
    INSERT INTO ledger_holds (reference, account_id, amount)
        SELECT reference, account_id, new FROM unnest(c_reference, c_account, c_new) AS u (reference, account_id, new)
        WHERE new > 0
        ON CONFLICT (reference, account_id) DO UPDATE SET amount = excluded.amount;
    RETURN true;
END
$$;
