-- How soon incidents are to be dealt with.

ALTER TABLE incident ADD COLUMN contained INTEGER;
-- Since when the commune knows that it is to be reported under NIS 2.
ALTER TABLE incident ADD COLUMN nis2_aware INTEGER;
-- When the first of its clocks that run breaks.
ALTER TABLE incident ADD COLUMN due INTEGER;

-- Its clocks, apart: every detection that joins writes its row, and changes none of them.
CREATE TABLE incident_clocks (
    incident INTEGER PRIMARY KEY REFERENCES incident (seq),
    clocks   TEXT NOT NULL -- JSON: name, started, due, met
) STRICT;

-- Of nothing that every detection changes: writing an index costs raising most.
CREATE INDEX incident_by_due ON incident (due, id) WHERE due IS NOT NULL;

-- Targets that were set, in minutes: NULL leaves the wider one, 0 is no clock.
CREATE TABLE sla (
    commune         TEXT NOT NULL, -- '' is all that have no own
    severity        INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 4),
    acknowledge_min INTEGER,
    contain_min     INTEGER,
    resolve_min     INTEGER,
    PRIMARY KEY (commune, severity)
) STRICT, WITHOUT ROWID;

CREATE TABLE regime (
    commune TEXT PRIMARY KEY REFERENCES commune (id),
    nis2    TEXT NOT NULL CHECK (nis2 IN ('essential', 'important'))
) STRICT, WITHOUT ROWID;

-- Notices may be of a clock. A CHECK cannot be changed, so the table is made anew.
CREATE TABLE notice_with_clocks (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    hook     TEXT NOT NULL,
    incident INTEGER NOT NULL REFERENCES incident (seq),
    commune  TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('opened', 'severity', 'unacknowledged', 'clock_warning',
        'clock_broken', 'closed', 'reopened')),
    clock    TEXT CHECK ((clock IS NOT NULL) = (kind IN ('clock_warning', 'clock_broken'))),
    made     INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state    TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sent', 'dropped', 'dead')),
    error    TEXT
) STRICT;

INSERT INTO notice_with_clocks
    (id, hook, incident, commune, kind, made, due, attempts, state, error)
SELECT id, hook, incident, commune, kind, made, due, attempts, state, error FROM notice;
DROP TABLE notice;
ALTER TABLE notice_with_clocks RENAME TO notice;

CREATE INDEX notice_due ON notice (hook, due) WHERE state = 'pending';
CREATE INDEX notice_by_state ON notice (state, id);
CREATE INDEX notice_by_incident ON notice (incident, hook, kind);
