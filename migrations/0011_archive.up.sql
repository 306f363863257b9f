-- Channels that are over leave the tables that vouchers and the settler work on. Every index here is what one step
-- of a purge searches: its cost goes with what it removes, never with what lives.

-- When a purge first found the channel closed or gone; NULL while it is neither.
ALTER TABLE channels ADD COLUMN over_since INTEGER;
-- Whether paid requests of the channel may be on record.
ALTER TABLE channels ADD COLUMN replays_kept INTEGER NOT NULL DEFAULT 1 CHECK (replays_kept IN (0, 1));

CREATE INDEX channels_newly_over ON channels (state) WHERE over_since IS NULL AND state IN ('closed', 'gone');
CREATE INDEX channels_back ON channels (state) WHERE over_since IS NOT NULL AND state = 'closing';
CREATE INDEX channels_over_with_replays ON channels (last_activity_at)
 WHERE over_since IS NOT NULL AND replays_kept = 1;
CREATE INDEX channels_to_archive ON channels (over_since)
 WHERE over_since IS NOT NULL AND replays_kept = 0 AND state = 'gone';
CREATE INDEX channels_failed ON channels (created_at) WHERE state = 'failed';

CREATE INDEX replays_answered ON replays (accepted_at) WHERE response_status IS NOT NULL;

DROP INDEX submissions_never_landed;
CREATE INDEX submissions_with_bytes ON submissions (updated_at)
 WHERE state IN ('landed', 'failed', 'expired') AND transaction_bytes <> x'';

-- What is asked of many channels.
DROP INDEX channels_by_payer;
CREATE INDEX channels_by_payer ON channels (payer, state);
CREATE INDEX channels_forced ON channels (payer, closing_at) WHERE close_reason = 'forced';
CREATE INDEX channels_idle ON channels (last_activity_at + idle_timeout) WHERE state = 'open';

-- One row per channel that is over: what its account was, how it ended, and the voucher that proves what was owed.
-- An address in here is never opened again.
CREATE TABLE archived_channels (
    channel_id           BLOB PRIMARY KEY NOT NULL CHECK (length(channel_id) = 32),
    payer                BLOB NOT NULL,
    payee                BLOB NOT NULL,
    mint                 BLOB NOT NULL,
    authorized_signer    BLOB NOT NULL,
    salt                 TEXT NOT NULL,
    open_slot            INTEGER NOT NULL,
    program              BLOB NOT NULL,
    token_program        BLOB NOT NULL,
    rent_payer           BLOB NOT NULL,
    grace_period         INTEGER NOT NULL,
    splits               BLOB NOT NULL,
    price                INTEGER NOT NULL,
    unit_type            TEXT,
    opening_challenge_id TEXT NOT NULL,
    deposit              INTEGER NOT NULL,
    accepted             INTEGER NOT NULL,
    spent                INTEGER NOT NULL,
    settled              INTEGER NOT NULL,
    payout_watermark     INTEGER NOT NULL,
    payer_withdrawn_at   INTEGER,
    refunded             INTEGER,
    close_reason         TEXT,
    close_signature      BLOB,
    observed_slot        INTEGER NOT NULL,
    created_at           INTEGER NOT NULL,
    last_activity_at     INTEGER NOT NULL,
    closing_at           INTEGER,
    over_since           INTEGER NOT NULL,
    archived_at          INTEGER NOT NULL,
    -- The highest voucher, if there was one.
    voucher_amount       INTEGER,
    voucher_expires_at   INTEGER,
    voucher_signer       BLOB,
    voucher_signature    BLOB
) STRICT;

CREATE INDEX archived_channels_by_age ON archived_channels (archived_at);
CREATE INDEX archived_channels_forced ON archived_channels (payer, closing_at) WHERE close_reason = 'forced';

-- The transactions of archived channels, without their bytes. One that acted on several channels is here under each
-- of them: add up fees over distinct submissions.
CREATE TABLE archived_submissions (
    channel_id    BLOB NOT NULL CHECK (length(channel_id) = 32),
    submission_id INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    signature     BLOB,
    amount        INTEGER,
    error         TEXT,
    fee_lamports  INTEGER,
    compute_units INTEGER,
    landed_slot   INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (channel_id, submission_id)
) STRICT, WITHOUT ROWID;
