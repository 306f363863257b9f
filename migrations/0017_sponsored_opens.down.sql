ALTER TABLE sponsor DROP COLUMN opens_in_minute;
ALTER TABLE sponsor DROP COLUMN minute;
ALTER TABLE sponsor DROP COLUMN opens_per_minute;
