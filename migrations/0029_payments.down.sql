DROP TABLE payments;
-- Fails where there is a transaction of this kind: what it paid for would be forgotten.
DELETE FROM submission_kinds WHERE kind = 'charge';
