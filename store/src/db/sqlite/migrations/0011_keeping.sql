-- How long events are kept, where a commune or feed has its own days.
CREATE TABLE retention (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    commune TEXT NOT NULL,
    days    INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- What is kept whatever its age, until it is released.
CREATE TABLE hold (
    id        TEXT PRIMARY KEY,
    commune   TEXT NOT NULL REFERENCES commune (id),
    feed      TEXT,
    from_time INTEGER,
    to_time   INTEGER,
    reason    TEXT NOT NULL,
    began     INTEGER NOT NULL,
    began_by  TEXT NOT NULL,
    ended     INTEGER,
    ended_by  TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_in_force ON hold (commune) WHERE ended IS NULL;

-- Events that were removed on demand, and what came of it.
CREATE TABLE purge (
    id        TEXT PRIMARY KEY,
    commune   TEXT NOT NULL REFERENCES commune (id),
    query     TEXT NOT NULL,
    from_time INTEGER,
    to_time   INTEGER,
    reason    TEXT NOT NULL,
    asked     INTEGER NOT NULL,
    asked_by  TEXT NOT NULL,
    events    INTEGER NOT NULL DEFAULT 0,
    splits    INTEGER NOT NULL DEFAULT 0,
    held      INTEGER NOT NULL DEFAULT 0,
    done      INTEGER,
    trouble   TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX purge_pending ON purge (asked) WHERE done IS NULL;

-- Splits that are no longer registered and whose objects may still be there.
CREATE TABLE condemned_split (
    id      BLOB NOT NULL,
    commune TEXT NOT NULL,
    crc32c  INTEGER NOT NULL,
    PRIMARY KEY (id, crc32c)
) STRICT, WITHOUT ROWID;
