-- Bids are covered: holds are placed before a bid is decided, and let go of once somebody else leads in the log.

-- A host that wakes up late may still let go of what it knew of; a hold that has grown since is somebody's newer bid. So
-- letting go names the most that it is about.
DROP FUNCTION ledger_cover(text, bigint[], bytea[], int[], int[], bigint[], bigint[]);
-- Brings holds on the accounts of users to between `at_least` and `at_most`, one after the other, all in one statement.
-- Owners and (reference, owner) pairs come as arrays without repetition; orders name a pair by its place, and a pair its
-- owner. A hold that is above `unless_above` stays as it is: it is for a later bid. What the balance does not cover changes nothing and is answered, by its place, with what would have been available
-- for it. The rules are those of domain/ledger/rules.py.
CREATE FUNCTION ledger_cover(
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
        CONTINUE WHEN p_new[p] > o.above;
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

-- The house takes its share of a sale.
ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_kinds;
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_kinds
    CHECK (kind IN ('user', 'faucet', 'outside', 'fees') AND (kind = 'user') = (owner_id <> 0));
