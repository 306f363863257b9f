-- The database itself refuses to change the accountants' log.
CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_not_shortened BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_channels_are_not_changed BEFORE UPDATE ON journal_channels
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_channels_are_not_removed BEFORE DELETE ON journal_channels
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
