-- Deposits that stay in escrow between two sessions, by their payer's word.

-- The open or top-up with which the payer asked for that; NULL: the rest of the deposit is refunded when the channel is
-- idle.
ALTER TABLE channels ADD COLUMN kept_by INTEGER;
-- What is to be settled and paid out although the channel stays open; NULL once it is.
ALTER TABLE channels ADD COLUMN pay_out_to INTEGER CHECK (pay_out_to >= 0);
CREATE INDEX channels_to_pay_out ON channels (pay_out_to) WHERE state = 'open' AND pay_out_to IS NOT NULL;
