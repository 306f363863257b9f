-- How many opens the sponsor pays for in a minute, and how many it did in the last one.
ALTER TABLE sponsor ADD COLUMN opens_per_minute INTEGER CHECK (opens_per_minute > 0);
-- Unix time divided by 60.
ALTER TABLE sponsor ADD COLUMN minute INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sponsor ADD COLUMN opens_in_minute INTEGER NOT NULL DEFAULT 0 CHECK (opens_in_minute >= 0);
