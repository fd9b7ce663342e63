-- Look-ups for people, made once the log is caught up with: kept while rows pour in, they would
-- cost several times what the rows do.
BEGIN IMMEDIATE;
CREATE INDEX IF NOT EXISTS events_by_place ON events (seq, place);
CREATE INDEX IF NOT EXISTS events_by_key ON events (key, seq);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, seq);
CREATE INDEX IF NOT EXISTS commands_by_actor ON commands (actor, seq);
COMMIT;
