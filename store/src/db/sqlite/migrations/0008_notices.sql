-- Up to which change each hook has looked.
CREATE TABLE hook (
    name   TEXT PRIMARY KEY,
    change INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each hook was told of an incident.
CREATE TABLE told (
    hook     TEXT NOT NULL,
    incident INTEGER NOT NULL REFERENCES incident (seq),
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 4),
    closed   INTEGER NOT NULL CHECK (closed IN (0, 1)),
    PRIMARY KEY (hook, incident)
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    hook     TEXT NOT NULL,
    incident INTEGER NOT NULL REFERENCES incident (seq),
    commune  TEXT NOT NULL,
    kind     TEXT NOT NULL
        CHECK (kind IN ('opened', 'severity', 'unacknowledged', 'closed', 'reopened')),
    made     INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state    TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sent', 'dropped', 'dead')),
    error    TEXT
) STRICT;

CREATE INDEX notice_due ON notice (hook, due) WHERE state = 'pending';
CREATE INDEX notice_by_state ON notice (state, id);
CREATE INDEX notice_by_incident ON notice (incident);
