-- What SQLite's migration of this number does, in words that PostgreSQL has.
CREATE FUNCTION append_only() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only';
END $$;
CREATE TRIGGER journal_is_not_changed BEFORE UPDATE OR DELETE ON journal
FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER journal_is_not_emptied BEFORE TRUNCATE ON journal
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER journal_channels_are_not_changed BEFORE UPDATE OR DELETE ON journal_channels
FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER journal_channels_are_not_emptied BEFORE TRUNCATE ON journal_channels
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
