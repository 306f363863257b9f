DROP TABLE submission_channels;
DROP TABLE submissions;
