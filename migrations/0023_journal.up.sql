-- The accountants' log: what happened to money, in the order in which it was entered. Nothing in it is ever changed or
-- taken out (0024); what turns out otherwise is entered as another line, below zero.
CREATE TABLE journal_channels (
    channel_id BLOB PRIMARY KEY NOT NULL CHECK (length(channel_id) = 32),
    payer      BLOB NOT NULL,
    payee      BLOB NOT NULL,
    mint       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers have no gaps. Amounts are base units of the channel's mint; those of fees and rent are lamports of fee_payer.
CREATE TABLE journal (
    entry      INTEGER PRIMARY KEY,
    entered_at INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('deposit', 'acceptance', 'payout', 'refund', 'fee', 'rent')),
    amount     INTEGER NOT NULL CHECK (amount <> 0),
    channel_id BLOB REFERENCES journal_channels (channel_id),
    fee_payer  BLOB CHECK (length(fee_payer) = 32),
    purpose    TEXT,
    signature  BLOB CHECK (length(signature) = 64),
    CHECK ((kind IN ('fee', 'rent')) = (fee_payer IS NOT NULL)),
    CHECK (kind IN ('fee', 'rent') OR channel_id IS NOT NULL)
) STRICT;
CREATE INDEX journal_by_channel ON journal (channel_id);
CREATE INDEX journal_by_signature ON journal (signature) WHERE signature IS NOT NULL;

-- How much of each channel's row is in the log, so that the rest can be entered; goes with the row.
CREATE TABLE journal_marks (
    channel_id BLOB PRIMARY KEY NOT NULL,
    deposit    INTEGER NOT NULL,
    charged    INTEGER NOT NULL,
    paid_out   INTEGER NOT NULL,
    refunded   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Channels that were archived before there was a log: one entry for each sum, without signatures.
INSERT INTO journal_channels (channel_id, payer, payee, mint)
SELECT channel_id, payer, payee, mint FROM archived_channels;
INSERT INTO journal (entry, entered_at, kind, amount, channel_id)
SELECT row_number() OVER (ORDER BY entered_at, channel_id, place), entered_at, kind, amount, channel_id
  FROM (SELECT 1 AS place, created_at AS entered_at, 'deposit' AS kind, deposit AS amount, channel_id
          FROM archived_channels
        UNION ALL SELECT 2, last_activity_at, 'acceptance', spent, channel_id FROM archived_channels
        UNION ALL SELECT 3, over_since, 'payout', payout_watermark, channel_id FROM archived_channels
        UNION ALL SELECT 4, over_since, 'refund', refunded, channel_id FROM archived_channels) AS sums
 WHERE amount > 0;
