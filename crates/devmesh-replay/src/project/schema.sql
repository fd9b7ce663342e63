-- The projection: rows that a person or a program can query. Made from the log and from nothing
-- else; remove the file and it is made again.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, stream_seq INTEGER NOT NULL,
    actor TEXT NOT NULL, command_id TEXT, causation INTEGER
) STRICT;
CREATE TABLE events (
    seq INTEGER NOT NULL, place INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    told TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE commands (
    seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, id TEXT NOT NULL,
    refused TEXT, message TEXT
) STRICT;
CREATE TABLE tasks (
    task INTEGER PRIMARY KEY, title TEXT NOT NULL, state TEXT NOT NULL, repo TEXT NOT NULL,
    priority INTEGER NOT NULL, by TEXT NOT NULL, added_ms INTEGER NOT NULL, ended_ms INTEGER,
    commit_id TEXT, tries INTEGER NOT NULL, review TEXT NOT NULL, blocked TEXT
) STRICT;
CREATE TABLE attempts (
    task INTEGER NOT NULL, attempt INTEGER NOT NULL, token INTEGER NOT NULL, actor TEXT NOT NULL,
    session TEXT NOT NULL, host TEXT NOT NULL, awarded_ms INTEGER NOT NULL, started_ms INTEGER,
    ended_ms INTEGER, why TEXT, verdict TEXT, tree TEXT, commit_id TEXT,
    input_tokens INTEGER, output_tokens INTEGER, cost_micro_usd INTEGER,
    PRIMARY KEY (task, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE agents (
    joined_seq INTEGER PRIMARY KEY, actor TEXT NOT NULL, session TEXT NOT NULL, tool TEXT NOT NULL,
    host TEXT NOT NULL, model TEXT, joined_ms INTEGER NOT NULL, ended_ms INTEGER, why TEXT
) STRICT;
CREATE TABLE leases (
    seq INTEGER NOT NULL, place INTEGER NOT NULL, actor TEXT NOT NULL, session TEXT, task INTEGER,
    repo TEXT NOT NULL, path TEXT NOT NULL, mode TEXT NOT NULL, granted_ms INTEGER NOT NULL,
    ended_ms INTEGER, why TEXT, PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE hosts (
    host TEXT PRIMARY KEY, ram_mb INTEGER NOT NULL, vram_mb TEXT NOT NULL, slots INTEGER NOT NULL,
    measured_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX open_leases ON leases (actor, session) WHERE ended_ms IS NULL;
CREATE INDEX open_task_leases ON leases (task) WHERE ended_ms IS NULL AND task IS NOT NULL;
CREATE INDEX open_agents ON agents (actor) WHERE ended_ms IS NULL;
