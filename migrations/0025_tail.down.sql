-- A tail that is not posted holds money: opening and closing the ledger with a binary that knows it posts it.
CREATE TABLE tail_is_posted (none INTEGER CHECK (none = 0));
INSERT INTO tail_is_posted SELECT count(*) FROM tail;
DROP TABLE tail_is_posted;
DROP TABLE tail;
