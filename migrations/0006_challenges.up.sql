-- Challenges that an open has answered. Each buys one channel.
CREATE TABLE challenges (
    challenge_id  TEXT PRIMARY KEY NOT NULL,
    submission_id INTEGER NOT NULL REFERENCES submissions (submission_id),
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX challenges_by_expiry ON challenges (expires_at);
