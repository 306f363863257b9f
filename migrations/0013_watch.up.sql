-- What the settler looks at next, found without reading what it does not look at: every index here holds the rows of
-- one question, and an answer costs what it returns.

-- When the channel was last compared with the chain, in unix seconds.
ALTER TABLE channels ADD COLUMN compared_at INTEGER NOT NULL DEFAULT 0;
-- The slot at which the channel was seen to open or to end, until a finalized block shows the same.
ALTER TABLE channels ADD COLUMN awaits_finality INTEGER CHECK (awaits_finality >= 0);
-- Whether a finalized block has shown the channel's account.
ALTER TABLE channels ADD COLUMN open_final INTEGER NOT NULL DEFAULT 0 CHECK (open_final IN (0, 1));
UPDATE channels SET open_final = 1 WHERE state NOT IN ('opening', 'failed');

CREATE INDEX channels_by_comparison ON channels (compared_at) WHERE state IN ('opening', 'open', 'closing');
CREATE INDEX channels_live_by_payee ON channels (payee) WHERE state IN ('opening', 'open', 'closing');
CREATE INDEX channels_paid_out ON channels (open_slot) WHERE state = 'closed';
CREATE INDEX channels_failed_by_slot ON channels (open_slot) WHERE state = 'failed';
CREATE INDEX channels_awaiting_finality ON channels (awaits_finality) WHERE awaits_finality IS NOT NULL;

-- What is accepted and not settled: at risk until it is.
CREATE INDEX channels_by_exposure ON channels (accepted - settled)
 WHERE state IN ('open', 'closing') AND accepted > settled;
CREATE INDEX vouchers_by_expiry ON vouchers (expires_at) WHERE expires_at > 0;
