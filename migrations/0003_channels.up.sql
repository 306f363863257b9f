-- One row per channel address, kept for good: an address seen once is never opened again.
CREATE TABLE channels (
    channel_id           BLOB PRIMARY KEY NOT NULL CHECK (length(channel_id) = 32),

    -- The seeds of the address. A salt is any u64, so it is text.
    payer                BLOB NOT NULL CHECK (length(payer) = 32),
    payee                BLOB NOT NULL CHECK (length(payee) = 32),
    mint                 BLOB NOT NULL CHECK (length(mint) = 32),
    authorized_signer    BLOB NOT NULL CHECK (length(authorized_signer) = 32),
    salt                 TEXT NOT NULL,
    open_slot            INTEGER NOT NULL CHECK (open_slot >= 0),
    program              BLOB NOT NULL CHECK (length(program) = 32),
    bump                 INTEGER NOT NULL CHECK (bump BETWEEN 0 AND 255),

    -- Fixed at open.
    token_program        BLOB NOT NULL CHECK (length(token_program) = 32),
    rent_payer           BLOB NOT NULL CHECK (length(rent_payer) = 32),
    grace_period         INTEGER NOT NULL CHECK (grace_period > 0),
    splits               BLOB NOT NULL,
    price                INTEGER NOT NULL CHECK (price >= 0),
    unit_type            TEXT,
    idle_timeout         INTEGER NOT NULL CHECK (idle_timeout > 0),
    opening_challenge_id TEXT NOT NULL,

    state                TEXT NOT NULL
                         CHECK (state IN ('opening', 'open', 'closing', 'closed', 'gone', 'failed')),

    deposit              INTEGER NOT NULL,
    accepted             INTEGER NOT NULL DEFAULT 0,
    spent                INTEGER NOT NULL DEFAULT 0,
    settled              INTEGER NOT NULL DEFAULT 0,
    payout_watermark     INTEGER NOT NULL DEFAULT 0,

    -- The chain's own words, as of observed_slot.
    chain_status         INTEGER CHECK (chain_status BETWEEN 0 AND 3),
    closure_started_at   INTEGER,
    payer_withdrawn_at   INTEGER,
    observed_slot        INTEGER NOT NULL DEFAULT 0 CHECK (observed_slot >= 0),

    -- Why and when service stopped, and how it ended.
    close_reason         TEXT CHECK (close_reason IN ('requested', 'idle', 'shutdown', 'forced')),
    closing_at           INTEGER,
    close_cumulative     INTEGER,
    close_signature      BLOB CHECK (length(close_signature) = 64),
    refunded             INTEGER CHECK (refunded >= 0),
    failure              TEXT,

    created_at           INTEGER NOT NULL,
    last_activity_at     INTEGER NOT NULL,

    CONSTRAINT watermark_law CHECK (
        0 <= payout_watermark AND payout_watermark <= settled AND settled <= accepted AND accepted <= deposit
        AND 0 <= spent AND spent <= accepted
    )
) STRICT;

CREATE INDEX channels_by_state ON channels (state);
CREATE INDEX channels_by_payer ON channels (payer);
