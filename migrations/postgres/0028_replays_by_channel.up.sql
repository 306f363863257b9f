-- Paid requests are found by their channel: a key is a digest over it, so it is one channel's.
ALTER TABLE replays DROP CONSTRAINT replays_pkey;
ALTER TABLE replays ADD PRIMARY KEY (channel_id, replay_key);
DROP INDEX replays_by_channel;
