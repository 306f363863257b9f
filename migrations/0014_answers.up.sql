-- What is known of a paid request's answer, in a word: 'unserved' while nothing is, 'kept' with the answer beside it,
-- 'not_kept' when it was served and the answer was too long, dropped, or broke off.
ALTER TABLE replays ADD COLUMN answer TEXT NOT NULL DEFAULT 'unserved'
    CHECK (answer IN ('unserved', 'kept', 'not_kept'));
-- What the answer takes of the budgets, in bytes.
ALTER TABLE replays ADD COLUMN answer_bytes INTEGER NOT NULL DEFAULT 0 CHECK (answer_bytes >= 0);

-- A channel's kept answers in bytes; under an empty blob those of all channels.
CREATE TABLE answer_bytes (
    channel_id BLOB PRIMARY KEY NOT NULL CHECK (length(channel_id) IN (0, 32)),
    bytes      INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER answer_counted AFTER UPDATE OF answer_bytes ON replays
WHEN new.answer_bytes <> old.answer_bytes BEGIN
    INSERT INTO answer_bytes VALUES (new.channel_id, 0), (x'', 0) ON CONFLICT DO NOTHING;
    UPDATE answer_bytes SET bytes = bytes + new.answer_bytes - old.answer_bytes
     WHERE channel_id IN (new.channel_id, x'');
    DELETE FROM answer_bytes WHERE channel_id = new.channel_id AND bytes = 0;
END;

CREATE TRIGGER answer_forgotten AFTER DELETE ON replays
WHEN old.answer_bytes > 0 BEGIN
    UPDATE answer_bytes SET bytes = bytes - old.answer_bytes WHERE channel_id IN (old.channel_id, x'');
    DELETE FROM answer_bytes WHERE channel_id = old.channel_id AND bytes = 0;
END;

-- Until now a header with a name that no header can have said that an answer was not kept.
UPDATE replays
   SET answer = 'not_kept', response_status = NULL, response_headers = NULL, response_body = NULL
 WHERE response_headers = '[[":body","gone"]]';
UPDATE replays
   SET answer = 'kept', answer_bytes = length(CAST(response_headers AS BLOB)) + length(response_body)
 WHERE response_status IS NOT NULL;

CREATE INDEX replays_answered_by_channel ON replays (channel_id, accepted_at) WHERE response_status IS NOT NULL;
