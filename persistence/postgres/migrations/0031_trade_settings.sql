-- What users have set for their trades, and whom they have blocked. Times in milliseconds.

CREATE TABLE trade_settings (
    user_id bigint PRIMARY KEY REFERENCES users,
    -- The time that they give themself between the agreement and its confirmation.
    cool_down_ms int NOT NULL,
    -- Whether others may make them offers.
    open_to_trade boolean NOT NULL
);

CREATE TABLE user_blocks (
    user_id bigint NOT NULL REFERENCES users,
    blocked_id bigint NOT NULL REFERENCES users,
    at bigint NOT NULL,
    PRIMARY KEY (user_id, blocked_id),
    CONSTRAINT blocks_of_others CHECK (user_id <> blocked_id)
);

-- For the limit of open offers.
CREATE INDEX trades_open_by_proposer ON trades (proposer_id) WHERE status = 'open';
