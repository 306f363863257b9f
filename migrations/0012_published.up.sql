-- The highest cumulative amount of a voucher in a transaction that may have been sent. Whoever reads transactions in
-- flight has that voucher, so it proves nothing any more, whatever becomes of the transaction.
ALTER TABLE channels ADD COLUMN sent_cumulative INTEGER NOT NULL DEFAULT 0 CHECK (sent_cumulative >= 0);
