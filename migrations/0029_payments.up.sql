-- One transfer, once: what a request was paid with that no channel pays. Rows whose transfer landed stay for good, so that
-- none of challenge, message and signature ever pays twice.
CREATE TABLE payments (
    challenge_id         TEXT PRIMARY KEY NOT NULL,
    -- SHA-256 of the transaction's message; NULL until a transaction that its payer sent has been found.
    message_digest       BLOB UNIQUE CHECK (length(message_digest) = 32),
    -- NULL until the sponsor has signed.
    signature            BLOB UNIQUE CHECK (length(signature) = 64),
    -- NULL where its payer has sent it.
    submission_id        INTEGER UNIQUE REFERENCES submissions (submission_id),
    state                TEXT NOT NULL CHECK (state IN ('reserved', 'landed', 'served', 'failed')),
    payer                BLOB CHECK (length(payer) = 32),
    recipient            BLOB NOT NULL CHECK (length(recipient) = 32),
    mint                 BLOB NOT NULL CHECK (length(mint) = 32),
    amount               INTEGER NOT NULL CHECK (amount > 0),
    -- The challenge's request, as the challenge has it.
    terms                TEXT NOT NULL,
    -- Hash of the request that it buys.
    fingerprint          BLOB NOT NULL CHECK (length(fingerprint) = 32),
    challenge_expires_at INTEGER NOT NULL,
    failure              TEXT CHECK (failure IN ('refused', 'expired', 'unsponsored', 'used')),
    reason               TEXT,
    landed_slot          INTEGER,
    answer               TEXT NOT NULL DEFAULT 'unserved' CHECK (answer IN ('unserved', 'kept', 'not_kept')),
    response_status      INTEGER,
    response_headers     TEXT,
    response_body        BLOB,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    CHECK (state NOT IN ('landed', 'served') OR (message_digest IS NOT NULL AND signature IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
) STRICT;
CREATE INDEX payments_pushed ON payments (created_at) WHERE state = 'reserved' AND submission_id IS NULL;
CREATE INDEX payments_failed ON payments (challenge_expires_at) WHERE state = 'failed';
CREATE INDEX payments_with_terms ON payments (updated_at) WHERE terms <> '' AND state IN ('landed', 'served');

INSERT INTO submission_kinds (kind) VALUES ('charge');
