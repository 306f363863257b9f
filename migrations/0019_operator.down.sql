ALTER TABLE channels DROP COLUMN proof;
