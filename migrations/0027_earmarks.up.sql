-- Requests whose price is known only when they are served: what is set aside for each of them, of what is accepted and
-- not spent. A row is here from before the request is served until what it cost is charged.

-- The sum of a channel's earmarks.
ALTER TABLE channels ADD COLUMN earmarked INTEGER NOT NULL DEFAULT 0
    CHECK (earmarked >= 0 AND spent + earmarked <= accepted);

CREATE TABLE earmarks (
    replay_key BLOB PRIMARY KEY NOT NULL CHECK (length(replay_key) = 32),
    channel_id BLOB NOT NULL CHECK (length(channel_id) = 32),
    amount     INTEGER NOT NULL CHECK (amount >= 0),
    -- What of it has been delivered for. Should whoever serves the request be killed, this is charged.
    delivered  INTEGER NOT NULL DEFAULT 0 CHECK (delivered BETWEEN 0 AND amount),
    -- In unix seconds; whoever serves the request puts it off.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX earmarks_by_channel ON earmarks (channel_id);
CREATE INDEX earmarks_by_expiry ON earmarks (expires_at);
