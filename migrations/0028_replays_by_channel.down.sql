CREATE TEMP TABLE kept_replays AS SELECT * FROM replays;
DROP TABLE replays;

CREATE TABLE replays (
    replay_key        BLOB PRIMARY KEY NOT NULL CHECK (length(replay_key) = 32),
    fingerprint       BLOB NOT NULL CHECK (length(fingerprint) = 32),
    channel_id        BLOB NOT NULL REFERENCES channels (channel_id),
    challenge_id      TEXT NOT NULL,
    cost              INTEGER NOT NULL CHECK (cost >= 0),
    accepted          INTEGER NOT NULL CHECK (accepted >= 0),
    spent             INTEGER NOT NULL CHECK (spent BETWEEN 0 AND accepted),
    accepted_at       INTEGER NOT NULL,
    -- The answer, until it is dropped.
    response_status   INTEGER,
    response_headers  TEXT,
    response_body     BLOB
) STRICT;
ALTER TABLE replays ADD COLUMN answer TEXT NOT NULL DEFAULT 'unserved'
    CHECK (answer IN ('unserved', 'kept', 'not_kept'));
ALTER TABLE replays ADD COLUMN answer_bytes INTEGER NOT NULL DEFAULT 0 CHECK (answer_bytes >= 0);

INSERT INTO replays
       (channel_id, replay_key, fingerprint, challenge_id, cost, accepted, spent, accepted_at, answer, answer_bytes,
        response_status, response_headers, response_body)
SELECT channel_id, replay_key, fingerprint, challenge_id, cost, accepted, spent, accepted_at, answer, answer_bytes,
       response_status, response_headers, response_body
  FROM kept_replays;
DROP TABLE kept_replays;

CREATE INDEX replays_by_age ON replays (accepted_at);
CREATE INDEX replays_by_channel ON replays (channel_id);
CREATE INDEX replays_answered ON replays (accepted_at) WHERE response_status IS NOT NULL;
CREATE INDEX replays_answered_by_channel ON replays (channel_id, accepted_at) WHERE response_status IS NOT NULL;

CREATE TRIGGER answer_counted AFTER UPDATE OF answer_bytes ON replays
WHEN new.answer_bytes <> old.answer_bytes BEGIN
    INSERT INTO answer_bytes VALUES (new.channel_id, 0), (x'', 0) ON CONFLICT DO NOTHING;
    UPDATE answer_bytes SET bytes = bytes + new.answer_bytes - old.answer_bytes
     WHERE channel_id IN (new.channel_id, x'');
    DELETE FROM answer_bytes WHERE channel_id = new.channel_id AND bytes = 0;
END;

CREATE TRIGGER answer_forgotten AFTER DELETE ON replays
WHEN old.answer_bytes > 0 BEGIN
    UPDATE answer_bytes SET bytes = bytes - old.answer_bytes WHERE channel_id IN (old.channel_id, x'');
    DELETE FROM answer_bytes WHERE channel_id = old.channel_id AND bytes = 0;
END;
