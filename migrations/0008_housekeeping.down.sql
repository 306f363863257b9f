DROP INDEX channels_vanished;
DROP INDEX submissions_never_landed;
DROP INDEX challenges_by_submission;
DROP INDEX replays_by_channel;
