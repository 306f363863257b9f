-- Lamports that a transaction may take from the sponsor: from before it is sent until its fate is known.
-- No payer is an empty blob, since parts of a key are never NULL.
CREATE TABLE holds (
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    kind      TEXT NOT NULL,
    payer     BLOB NOT NULL CHECK (length(payer) IN (0, 32)),
    day       INTEGER NOT NULL,
    lamports  INTEGER NOT NULL CHECK (lamports >= 0),
    charge    INTEGER NOT NULL CHECK (charge >= 0),
    PRIMARY KEY (signature, kind)
) STRICT, WITHOUT ROWID;

-- What the sponsor has spent, by day (unix seconds / 86400), purpose and payer. `spent` never comes back,
-- `charged` counts against budgets.
CREATE TABLE spending (
    day          INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    payer        BLOB NOT NULL CHECK (length(payer) IN (0, 32)),
    transactions INTEGER NOT NULL CHECK (transactions >= 0),
    spent        INTEGER NOT NULL CHECK (spent >= 0),
    charged      INTEGER NOT NULL CHECK (charged >= 0),
    PRIMARY KEY (day, kind, payer)
) STRICT, WITHOUT ROWID;
