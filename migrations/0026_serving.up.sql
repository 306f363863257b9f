-- Which gateway answers which request, where several share a ledger, and until when by the database's clock, in unix
-- seconds. It says nothing about money: what was charged is in the row of the request.
CREATE TABLE serving (
    replay_key BLOB PRIMARY KEY NOT NULL CHECK (length(replay_key) = 32),
    holder     BLOB NOT NULL CHECK (length(holder) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX serving_by_expiry ON serving (expires_at);
