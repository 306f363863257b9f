DROP TABLE archived_submissions;
DROP TABLE archived_channels;
DROP INDEX channels_idle;
DROP INDEX channels_forced;
DROP INDEX channels_by_payer;
CREATE INDEX channels_by_payer ON channels (payer);
DROP INDEX submissions_with_bytes;
CREATE INDEX submissions_never_landed ON submissions (updated_at)
 WHERE kind = 'top_up' AND state IN ('failed', 'expired') AND transaction_bytes <> x'';
DROP INDEX replays_answered;
DROP INDEX channels_failed;
DROP INDEX channels_to_archive;
DROP INDEX channels_over_with_replays;
DROP INDEX channels_back;
DROP INDEX channels_newly_over;
ALTER TABLE channels DROP COLUMN replays_kept;
ALTER TABLE channels DROP COLUMN over_since;
