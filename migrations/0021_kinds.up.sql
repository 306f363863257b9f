-- What transactions are for, as rows: one more is an INSERT, and no table is made anew for it.
CREATE TABLE submission_kinds (
    kind TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO submission_kinds (kind)
VALUES ('open'), ('top_up'), ('settle'), ('close'), ('seal'), ('distribute'), ('reclaim'), ('create_account'), ('rearm');

CREATE TEMP TABLE kept_submissions AS SELECT * FROM submissions;
CREATE TEMP TABLE kept_channels AS SELECT * FROM submission_channels;
CREATE TEMP TABLE kept_sequence AS SELECT seq FROM sqlite_sequence WHERE name = 'submissions';
DROP TABLE submission_channels;
DROP TABLE submissions;

CREATE TABLE submissions (
    submission_id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind                    TEXT NOT NULL REFERENCES submission_kinds (kind),
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
CREATE INDEX submissions_with_bytes ON submissions (updated_at)
 WHERE state IN ('landed', 'failed', 'expired') AND transaction_bytes <> x'';

-- A reclaim sweeps several channels, a created token account is of none; every other kind has one.
CREATE TABLE submission_channels (
    channel_id    BLOB NOT NULL REFERENCES channels (channel_id),
    submission_id INTEGER NOT NULL REFERENCES submissions (submission_id),
    -- Cumulative amount of the voucher that the transaction shows to everybody, should it be sent.
    publishes     INTEGER CHECK (publishes >= 0),
    -- Whether it moves the channel's tokens to whom they belong.
    pays_out      INTEGER NOT NULL DEFAULT 0 CHECK (pays_out IN (0, 1)),
    PRIMARY KEY (channel_id, submission_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX submission_channels_by_submission ON submission_channels (submission_id);

INSERT INTO submissions
    (submission_id, kind, state, request, transaction_bytes, signature, last_valid_block_height, amount, error,
     fee_lamports, compute_units, landed_slot, created_at, updated_at)
SELECT
     submission_id, kind, state, request, transaction_bytes, signature, last_valid_block_height, amount, error,
     fee_lamports, compute_units, landed_slot, created_at, updated_at
  FROM kept_submissions;
INSERT INTO submission_channels (channel_id, submission_id, publishes, pays_out)
SELECT channel_id, submission_id, publishes, pays_out FROM kept_channels;
-- Numbers are never given twice, not even those of rows that are gone.
DELETE FROM sqlite_sequence WHERE name = 'submissions';
INSERT INTO sqlite_sequence (name, seq) SELECT 'submissions', seq FROM kept_sequence;
DROP TABLE kept_submissions;
DROP TABLE kept_channels;
DROP TABLE kept_sequence;
