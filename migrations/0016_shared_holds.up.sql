-- One transaction may settle the channels of several payers: what it holds is told apart by payer.
CREATE TEMP TABLE kept_holds AS SELECT * FROM holds;
DROP TABLE holds;
CREATE TABLE holds (
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    kind      TEXT NOT NULL,
    payer     BLOB NOT NULL CHECK (length(payer) IN (0, 32)),
    day       INTEGER NOT NULL,
    lamports  INTEGER NOT NULL CHECK (lamports >= 0),
    charge    INTEGER NOT NULL CHECK (charge >= 0),
    PRIMARY KEY (signature, kind, payer)
) STRICT, WITHOUT ROWID;
INSERT INTO holds (signature, kind, payer, day, lamports, charge)
SELECT signature, kind, payer, day, lamports, charge FROM kept_holds;
DROP TABLE kept_holds;
