ALTER TABLE channels DROP COLUMN sent_cumulative;
