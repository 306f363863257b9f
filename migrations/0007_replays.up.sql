-- Paid requests, so that a repeat gets its first answer and is never charged twice.
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

CREATE INDEX replays_by_age ON replays (accepted_at);
