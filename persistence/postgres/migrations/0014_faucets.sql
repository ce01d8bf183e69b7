-- Several accounts pay out deposits, where one was a row that all deposits waited for and that had a bound.

ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_kinds;
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_kinds CHECK (
    (kind IN ('user', 'outside', 'fees') OR kind ~ '^faucet(-[0-9]+)?$') AND (kind = 'user') = (owner_id <> 0)
);
