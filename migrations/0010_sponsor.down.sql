DROP INDEX channels_live_by_payer;
DROP TABLE sponsor;
