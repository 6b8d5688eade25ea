-- Times are nanoseconds since 1970-01-01 UTC, ids the 16 bytes of a UUID, lists JSON.
-- Every row that belongs to a commune names it, so that each read filters by scope.

CREATE TABLE commune (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE feed (
    id       TEXT PRIMARY KEY,
    commune  TEXT NOT NULL REFERENCES commune (id),
    format   TEXT NOT NULL,
    name     TEXT NOT NULL,
    created  INTEGER NOT NULL,
    key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    name     TEXT PRIMARY KEY,
    hash     BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    role     TEXT NOT NULL CHECK (role IN ('reader', 'analyst', 'admin')),
    communes TEXT, -- JSON array of ids; null is all of them
    created  INTEGER NOT NULL,
    expires  INTEGER
) STRICT, WITHOUT ROWID;

-- Incidents and detections name communes without referring to them: what was detected is
-- kept whatever the registers say.
CREATE TABLE incident (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of opening
    id             BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    commune        TEXT NOT NULL,
    number         INTEGER NOT NULL,
    severity       INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 4), -- 4 is critical
    status         TEXT NOT NULL
        CHECK (status IN ('new', 'acknowledged', 'in_progress', 'resolved', 'closed')),
    verdict        TEXT CHECK (verdict IN
        ('true_positive', 'false_positive', 'benign_true_positive', 'undetermined')),
    detections     INTEGER NOT NULL,
    first_event    INTEGER NOT NULL,
    last_event     INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    updated        INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    comments_bytes INTEGER NOT NULL DEFAULT 0,
    title          TEXT NOT NULL,
    tags           TEXT NOT NULL,
    entities       TEXT NOT NULL,
    UNIQUE (commune, number),
    CHECK (status <> 'closed' OR verdict IS NOT NULL)
) STRICT;

-- Both hold what lists filter by, so that only the rows of the page are read.
CREATE INDEX incident_by_update ON incident (updated DESC, id, commune, status, severity);
CREATE INDEX incident_by_commune ON incident (commune, updated DESC, id, status, severity);

-- What detections join incidents by; `open` is first among the incidents, so that a host
-- with a long history costs nothing.
CREATE TABLE link (
    commune  TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('host', 'device', 'user', 'rule')),
    name     TEXT NOT NULL,
    open     INTEGER NOT NULL CHECK (open IN (0, 1)),
    incident INTEGER NOT NULL REFERENCES incident (seq),
    PRIMARY KEY (commune, kind, name, open, incident)
) STRICT, WITHOUT ROWID;

CREATE INDEX link_by_incident ON link (incident);

CREATE TABLE detection (
    seq       INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    commune   TEXT NOT NULL,
    incident  INTEGER REFERENCES incident (seq), -- null where the rule raises none
    timestamp INTEGER NOT NULL,
    raised    INTEGER NOT NULL,
    body      TEXT NOT NULL -- the whole detection as JSON
) STRICT;

CREATE INDEX detection_by_incident ON detection (incident, timestamp, id)
    WHERE incident IS NOT NULL;

CREATE TABLE timeline (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    incident INTEGER NOT NULL REFERENCES incident (seq),
    commune  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    by       TEXT NOT NULL,
    kind     TEXT NOT NULL -- what happened, as JSON
) STRICT;

CREATE INDEX timeline_by_incident ON timeline (incident);

-- What is counted per commune: the last number given to an incident, and detections kept.
CREATE TABLE tally (
    commune    TEXT PRIMARY KEY,
    number     INTEGER NOT NULL DEFAULT 0,
    detections INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE split (
    id             BLOB PRIMARY KEY CHECK (length(id) = 16),
    commune        TEXT NOT NULL,
    min_time       INTEGER NOT NULL,
    max_time       INTEGER NOT NULL,
    min_received   INTEGER NOT NULL,
    max_received   INTEGER NOT NULL,
    events         INTEGER NOT NULL,
    raw_bytes      INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    crc32c         INTEGER NOT NULL,
    format_version INTEGER NOT NULL,
    sealed         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX split_by_time ON split (commune, max_time, min_time);

-- Positions on a bus that moved in the transaction of their effect.
CREATE TABLE cursor (
    name      TEXT NOT NULL CHECK (name IN ('raise', 'index')),
    bus       BLOB NOT NULL CHECK (length(bus) = 16),
    partition INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    PRIMARY KEY (name, bus, partition)
) STRICT, WITHOUT ROWID;
