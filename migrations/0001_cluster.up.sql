-- The one cluster and program this ledger speaks of. A voucher names no cluster, so a ledger must.
CREATE TABLE cluster (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    network      TEXT NOT NULL,
    genesis_hash TEXT NOT NULL,
    program      BLOB NOT NULL CHECK (length(program) = 32)
) STRICT;
