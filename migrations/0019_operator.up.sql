-- Sessions whose vouchers the server signs: SHA-256 of the proof that the payer opened the session with, and shows with
-- every request. NULL where the payer signs the vouchers.
ALTER TABLE channels ADD COLUMN proof BLOB CHECK (length(proof) = 32);
