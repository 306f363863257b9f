-- What purging and the foreign keys of what it deletes look up.
CREATE INDEX replays_by_channel ON replays (channel_id);
CREATE INDEX challenges_by_submission ON challenges (submission_id);
CREATE INDEX submissions_never_landed ON submissions (updated_at)
 WHERE kind = 'top_up' AND state IN ('failed', 'expired') AND transaction_bytes <> x'';

-- Channels that vanished although nobody was seen to pay them out.
CREATE INDEX channels_vanished ON channels (closing_at)
 WHERE state = 'gone' AND refunded IS NULL AND close_signature IS NULL;
