-- Whole signed vouchers: a number alone cannot be settled. Those that no settlement could want are pruned.
CREATE TABLE vouchers (
    channel_id        BLOB NOT NULL REFERENCES channels (channel_id),
    cumulative_amount INTEGER NOT NULL CHECK (cumulative_amount >= 0),
    expires_at        INTEGER NOT NULL,
    signer            BLOB NOT NULL CHECK (length(signer) = 32),
    signature         BLOB NOT NULL CHECK (length(signature) = 64),
    accepted_at       INTEGER NOT NULL,
    PRIMARY KEY (channel_id, cumulative_amount, expires_at)
) STRICT, WITHOUT ROWID;
