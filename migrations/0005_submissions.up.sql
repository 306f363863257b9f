-- Transactions, on record before they are sent.
CREATE TABLE submissions (
    submission_id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind                    TEXT NOT NULL
                            CHECK (kind IN ('open', 'top_up', 'settle', 'close', 'seal', 'distribute', 'reclaim')),
    state                   TEXT NOT NULL
                            CHECK (state IN ('requested', 'recorded', 'landed', 'failed', 'expired')),
    -- What the payer sent, before anyone else signed it; NULL when the settler made the transaction.
    request                 BLOB,
    transaction_bytes       BLOB NOT NULL,
    signature               BLOB UNIQUE CHECK (length(signature) = 64),
    last_valid_block_height INTEGER,
    amount                  INTEGER CHECK (amount >= 0),
    error                   TEXT,
    fee_lamports            INTEGER,
    compute_units           INTEGER,
    landed_slot             INTEGER,
    created_at              INTEGER NOT NULL,
    updated_at              INTEGER NOT NULL,
    CHECK (state NOT IN ('recorded', 'landed') OR signature IS NOT NULL)
) STRICT;

CREATE INDEX submissions_unresolved ON submissions (state) WHERE state IN ('requested', 'recorded');

-- A reclaim sweeps several channels; every other kind has one.
CREATE TABLE submission_channels (
    channel_id    BLOB NOT NULL REFERENCES channels (channel_id),
    submission_id INTEGER NOT NULL REFERENCES submissions (submission_id),
    PRIMARY KEY (channel_id, submission_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX submission_channels_by_submission ON submission_channels (submission_id);
