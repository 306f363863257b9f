-- What the settler last saw of the chain; challenges quote it.
CREATE TABLE tip (
    id                      INTEGER PRIMARY KEY CHECK (id = 1),
    blockhash               BLOB NOT NULL CHECK (length(blockhash) = 32),
    slot                    INTEGER NOT NULL CHECK (slot >= 0),
    block_height            INTEGER NOT NULL CHECK (block_height >= 0),
    last_valid_block_height INTEGER NOT NULL CHECK (last_valid_block_height >= 0),
    published_at            INTEGER NOT NULL
) STRICT;

-- When every live channel was last compared with the chain.
CREATE TABLE observation (
    id                   INTEGER PRIMARY KEY CHECK (id = 1),
    channels_observed_at INTEGER NOT NULL
) STRICT;
