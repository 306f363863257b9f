DROP TABLE earmarks;
ALTER TABLE channels DROP COLUMN earmarked;
