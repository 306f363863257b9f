DROP TABLE journal_marks;
DROP TABLE journal;
DROP TABLE journal_channels;
