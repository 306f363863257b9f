DROP INDEX replays_answered_by_channel;
UPDATE replays SET response_status = 0, response_headers = '[[":body","gone"]]', response_body = x''
 WHERE answer = 'not_kept';
DROP TRIGGER answer_forgotten;
DROP TRIGGER answer_counted;
DROP TABLE answer_bytes;
ALTER TABLE replays DROP COLUMN answer_bytes;
ALTER TABLE replays DROP COLUMN answer;
