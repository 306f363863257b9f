-- Vouchers that are accepted and not in the rows of their channels yet, one row for each group that was committed
-- together, in order. Used by SQLite only: whoever reads or writes other rows posts these first.
CREATE TABLE tail (
    seq     INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;
