DROP INDEX channels_to_pay_out;
ALTER TABLE channels DROP COLUMN pay_out_to;
ALTER TABLE channels DROP COLUMN kept_by;
