-- Which settler works on a ledger that several processes share, and until when by the database's clock, in unix seconds.
CREATE TABLE settler_lease (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    holder     BLOB NOT NULL CHECK (length(holder) = 16),
    expires_at INTEGER NOT NULL
) STRICT;
