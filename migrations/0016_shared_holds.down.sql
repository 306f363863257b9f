CREATE TEMP TABLE kept_holds AS SELECT * FROM holds;
DROP TABLE holds;
CREATE TABLE holds (
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    kind      TEXT NOT NULL,
    payer     BLOB NOT NULL CHECK (length(payer) IN (0, 32)),
    day       INTEGER NOT NULL,
    lamports  INTEGER NOT NULL CHECK (lamports >= 0),
    charge    INTEGER NOT NULL CHECK (charge >= 0),
    PRIMARY KEY (signature, kind)
) STRICT, WITHOUT ROWID;
-- What several payers share is nobody's in particular here.
INSERT INTO holds (signature, kind, payer, day, lamports, charge)
SELECT signature, kind, CASE count(*) WHEN 1 THEN max(payer) ELSE x'' END, min(day), sum(lamports), sum(charge)
  FROM kept_holds GROUP BY signature, kind;
DROP TABLE kept_holds;
